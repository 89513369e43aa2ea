"""`clw should-train`: is it worth training now, and what speaks for it and against it."""

import click

from clworkbench.cli.verb import Answer, No, answers, known_at, workspace_option


@click.command(name="should-train")
@known_at
@workspace_option
@answers
def should_train(workspace: str, **known: object) -> Answer | No:
    """Weigh new rows, expected gain, budget, drift and its harm: train now or not; exit status 1 when it is no.

    No where anything stops it (-1: too few new rows, rows that a run learned already, no budget); else yes where
    anything decides for it (0.5 or 1: outcomes got worse, a gain that past runs do not rule out, no release yet); else
    no. Smaller weights are for the reader. [training] min_new_rows and min_gain set the bar. Nothing is written.
    """
    from clworkbench.loop.should_train import should_train as weigh
    from clworkbench.workspace import Workspace

    found = weigh(Workspace(workspace), **known)  # type: ignore[arg-type]
    answer = found.as_dict(), found.lines()
    return answer if found.answer else No(answer)


VERBS = [should_train]
