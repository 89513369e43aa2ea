"""`clw should-train`: is it worth training now, and what speaks for it and against it."""

import click

from clworkbench.cli.verb import Answer, No, answers, known_at, workspace_option


@click.command(name="should-train")
@known_at
@workspace_option
@answers
def should_train(workspace: str, **known: object) -> Answer | No:
    """Weigh new rows, expected gain, budget, drift and its harm: train now or not; exit status 1 when it is no."""
    from clworkbench.loop.should_train import should_train as weigh
    from clworkbench.workspace import Workspace

    found = weigh(Workspace(workspace), **known)  # type: ignore[arg-type]
    answer = found.as_dict(), found.lines()
    return answer if found.answer else No(answer)


VERBS = [should_train]
