"""`clw scores import`: what other harnesses measured."""

import click

from clworkbench.cli.verb import Answer, InOrder, answers, workspace_option
from clworkbench.display.text import table

FORMATS = click.Choice(["auto", "tau2", "inspect", "lm-eval", "jsonl"])


@click.group(cls=InOrder)
def scores() -> None:
    """Scores that other harnesses gave: Inspect, lm-evaluation-harness, tau2-bench, or your own."""


@scores.command("import")
@click.argument("path", type=click.Path(dir_okay=False))
@click.option("--format", "form", type=FORMATS, default="auto", show_default=True, help="Whose file it is.")
@click.option("--model", metavar="NAME", help="Whose scores: a name of yours, or run:ID; the file's own when left out.")
@click.option("--suite", metavar="NAME", help="What was measured; the file's own name when left out.")
@workspace_option
@answers
def import_scores(path: str, form: str, model: str | None, suite: str | None, workspace: str) -> Answer:
    """Bring in the scores in PATH, so that `clw gate` can hold one model against another by them.

    PATH is a result file of tau2-bench, a log of Inspect (.eval, .json), samples of lm-evaluation-harness, or rows in
    JSONL, Parquet or CSV with `example_id` and `score`, and any columns that sort examples into slices. Import the
    same suite for two models, then: clw gate NAME --against OTHER
    """
    from clworkbench.loop.evals.scores import import_scores as bring
    from clworkbench.workspace import Workspace

    done = bring(Workspace(workspace), path, form=form, model=model, suite=suite)  # type: ignore[arg-type]
    found = done.as_dict()
    said = f"{found['model']} on {found['suite']}: {done.scores:,} scores of {done.report.n:,} examples"
    reasons = done.left_out["reason"].value_counts(sort=True).iter_rows()
    lost = [f"left out: {n:,} with {reason}" for reason, n in reasons]
    next_step = f"Next: clw gate {found['model']} --against OTHER, once OTHER was scored on {found['suite']} too"
    return found, [said + (" (known)" if done.known else ""), *lost, *table(done.report.frame), next_step]


@scores.command("withdraw")
@click.argument("model")
@click.option("--suite", metavar="NAME", help="What was measured; needed where MODEL has imported scores on several.")
@click.option("--why", required=True, metavar="REASON", help="Why they count no longer; audits repeat it.")
@workspace_option
@answers
def withdraw(model: str, suite: str | None, why: str, workspace: str) -> Answer:
    """Take back the scores that were imported last for MODEL: they gate no longer, and all history is kept.

    What was imported before them counts again. The audit of gates that rest on them fails from now on and says why.
    """
    from clworkbench.loop.evals.withdraw import withdraw_scores
    from clworkbench.workspace import Workspace

    done = withdraw_scores(Workspace(workspace), model, suite, why=why)
    found = done.as_dict()
    lines = [f"{found['model']} on {found['suite']}: withdrawn; its scores gate no longer"]
    lines += [f"{done.counts_again}, imported before, counts again"] if done.counts_again else []
    lines += [f"rested on them: {each}" for each in (*done.gates, *done.served)]
    return found, lines


VERBS = [scores]
