"""What a run had learned and never trained on: the held-out rows of its training sets, and a model's scores on them."""

import polars as pl

from clworkbench import expressions
from clworkbench.loop.training_sets.convert import training_sets_of
from clworkbench.models.generate import generate
from clworkbench.models.likelihood import Answered, answer_log_probs
from clworkbench.models.load import Loaded
from clworkbench.runs.examples import split_at_answer
from clworkbench.schemas import SCORES
from clworkbench.scorers.names import scorer
from clworkbench.training_sets.descent import kind_of
from clworkbench.workspace import Workspace

LIKELY, PREFERS, VERIFIED = "log_prob", "prefers_chosen", "verified"
"""What is measured, by kind of row: the mean log-probability of a token of the good answer (nats; sft, and what was
wanted of unpaired rows); whether the chosen answer's is the higher one (0 or 1); the verifier's score (0 to 1)."""

HELD_OUT = "held out"
ASKED = 500
"""Rows of a kind that are looked at, at most; which they are, their ids draw, which are keyed hashes."""


def held_out_rows(workspace: Workspace, learned_by: str, beside: str) -> dict[str, pl.DataFrame]:
    """The held-out rows of all sets that a run learned from, by kind, each once; none that `beside` was trained on.

    Returns:
        The rows of each kind that can be measured, with `slices`: where they are looked at.
    """
    taught = [
        workspace.rows(each).filter(pl.col("split") == "train")["row_id"]
        for each in training_sets_of(workspace, beside)
    ]
    gone = pl.concat([pl.Series("row_id", [], dtype=pl.String), *taught]).unique()
    found: dict[str, list[pl.DataFrame]] = {}
    for name in dict.fromkeys(training_sets_of(workspace, learned_by)):
        manifest = workspace.find("training_set", name)
        kind, rows = kind_of(manifest), workspace.rows(name)
        held = rows.filter((pl.col("split") != "train") & ~pl.col("row_id").is_in(gone.implode()))
        if kind == "unpaired":
            held = held.filter("label")
        if kind != "reward" and held.height:
            found.setdefault(kind, []).append(held)
    whole = {kind: pl.concat(parts).unique("row_id").sort("row_id").head(ASKED) for kind, parts in found.items()}
    within = _slices(workspace)
    return {kind: _placed(rows, within) for kind, rows in whole.items()}


def _placed(rows: pl.DataFrame, within: pl.DataFrame) -> pl.DataFrame:
    """Adds `slices`: all, the month, and the slices of `clw.toml` that one of its signals is in."""
    signals = rows.select("row_id", interaction_id="signal_ids").explode("interaction_id", empty_as_null=True)
    named = signals.join(within, on="interaction_id").group_by("row_id").agg(pl.col("slice").unique().sort())
    month = pl.concat_list(pl.col("at").dt.strftime("%Y-%m")).list.drop_nulls()
    slices = pl.concat_list(pl.lit([HELD_OUT]), month, pl.col("slice").fill_null([]))
    return rows.join(named, on="row_id", how="left", maintain_order="left").with_columns(slices=slices).drop("slice")


def _slices(workspace: Workspace) -> pl.DataFrame:
    """`interaction_id` and `slice`: a row for each slice of `clw.toml` that a signal is in."""
    found, there = workspace.signals(), workspace.settings.slices
    parts = [
        found.filter(expressions.holds(found, said, where=f"slices.{name}")).select(
            "interaction_id", slice=pl.lit(f"slice {name}")
        )
        for name, said in there.items()
    ]
    return pl.concat([pl.DataFrame(schema={"interaction_id": pl.String, "slice": pl.String}), *parts])


def held_out_scores(loaded: Loaded, rows: dict[str, pl.DataFrame], max_new_tokens: int) -> pl.DataFrame:
    """A model's scores on held-out rows: higher is better.

    Args:
        loaded: the model.
        rows: of `held_out_rows`.
        max_new_tokens: where an answer to a checkable prompt is cut.

    Returns:
        `schemas.SCORES` without `batch_id`. Rows of one conversation or user that stand in the same slices are
        repetitions of one example: they are no independent witnesses.

    Raises:
        ModelError: the model's chat template refuses a row.
    """
    parts = []
    for kind, held in rows.items():
        if kind == "prompts":
            score, name = _verified(loaded, held, max_new_tokens), VERIFIED
        elif kind == "preference":
            score, name = prefers(loaded, held).cast(pl.Float64), PREFERS
        else:
            score, name = _mean(log_probs(loaded, held, "completion")), LIKELY
        parts.append(held.select("row_id", "group", "slices", score=score, scorer=pl.lit(name)))
    scores = pl.concat(parts).with_columns(group=pl.col("group").fill_null(pl.col("row_id")))
    one = [pl.col("scorer"), pl.col("group"), pl.col("slices").list.join("\n")]
    absent = [pl.lit(None, dtype).alias(name) for name, dtype in SCORES.items()]
    found = scores.with_columns(
        model=pl.lit(loaded.spec.name),
        suite=pl.lit(HELD_OUT),
        example_id=pl.concat_str(one, separator="\n"),
        repetition=pl.int_range(pl.len(), dtype=pl.Int32).over(one),
    )
    return found.with_columns(each for each in absent if each.meta.output_name() not in found.columns).select(
        name for name in SCORES if name != "batch_id"
    )


def prefers(loaded: Loaded, pairs: pl.DataFrame) -> pl.Series:
    """Whether the chosen answer's mean token is likelier than the rejected one's; null where one exceeds the context.

    Args:
        loaded: the model.
        pairs: `prompt`, `chosen`, `rejected` and `tools`.
    """
    chosen = log_probs(loaded, pairs, "chosen", beside="rejected")
    return _mean(chosen) > _mean(log_probs(loaded, pairs, "rejected", beside="chosen"))


def log_probs(loaded: Loaded, rows: pl.DataFrame, answer: str, *, beside: str | None = None) -> pl.DataFrame:
    """How likely each row's answer is: `answer_log_probs`.

    Args:
        loaded: the model.
        rows: `prompt`, `tools` and the answers' columns.
        answer: the column of the answer that is looked at.
        beside: the column of another one to the same prompt: both then begin at the same token.

    Raises:
        ModelError: the model's chat template refuses a row.
    """
    names = [answer, *([beside] if beside else [])]
    answered = []
    for prompt, tools, *said in rows.select("prompt", "tools", *names).iter_rows():
        before, answers = split_at_answer(loaded.tokenizer, prompt, said, tools)
        answered.append(Answered(before, answers[0]))
    return answer_log_probs(loaded, answered)


def _mean(found: pl.DataFrame) -> pl.Series:
    """The mean log-probability of a token."""
    return found.select(pl.col("log_prob") / pl.col("n_tokens"))["log_prob"]


def _verified(loaded: Loaded, rows: pl.DataFrame, max_new_tokens: int) -> pl.Series:
    said = generate(loaded, rows["prompt"].to_list(), max_new_tokens=max_new_tokens)
    marked = rows.select("verifier", "expected", output=said["output"]).with_row_index("place")
    graded = [
        part.select("place", score=scorer(str(name))(part["output"], part["expected"]))
        for (name,), part in marked.group_by("verifier", maintain_order=True)
    ]
    return pl.concat(graded).sort("place")["score"]
