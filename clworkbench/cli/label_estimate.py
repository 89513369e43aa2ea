"""`clw label estimate`: a rate over all signals that were drawn from, from what people said of the candidates."""

from datetime import datetime

import click

from clworkbench.cli.verb import Answer, No, answers, known_at, workspace_option


@click.command()
@click.option("--question", default="answer", show_default=True, help="To which question.")
@click.option("--value", default="accept", show_default=True, help="What people say: accept, reject, an option.")
@click.option("--selection", metavar="ID", help="From which selection, as shown; else the one most answered.")
@known_at
@workspace_option
@answers
def estimate(
    question: str, value: str, selection: str | None, as_of: datetime | None, event_time: bool, workspace: str
) -> Answer | No:
    """Estimate in what share of all signals people would say VALUE, from the labels of candidates (1: too few).

    Candidates are chosen for their reasons, so their own share misleads: each counts by the inverse of its chance of
    being drawn (Horvitz and Thompson). Where no candidate of a stratum has a label, there is no estimate.
    """
    from clworkbench.loop.labels.estimate import estimated
    from clworkbench.workspace import Workspace

    found = estimated(
        Workspace(workspace), value, question=question, selection=selection, as_of=as_of, event_time=event_time
    )
    answer = found.as_dict(), found.lines()
    return No(answer) if found.rate is None else answer


COMMANDS = [estimate]
