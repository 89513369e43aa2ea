"""What of a training set another base can read: its template, its length, its words, and what it knows already."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import polars as pl

from clworkbench.errors import ModelError
from clworkbench.loop.runs.older import log_probs, prefers
from clworkbench.models.load import Loaded, beyond
from clworkbench.models.template import TemplateReads, template_reads
from clworkbench.statistics.intervals import wilson
from clworkbench.statistics.paired import compare_scores
from clworkbench.training_sets.tokens import WHOLE, token_lengths

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from clworkbench.schemas import TrainingKind

Fit = Literal["fits", "finding", "refused"]

ASKED = 200
"""Rows whose likelihood is looked at, at most; their ids, which are keyed hashes, draw them."""

NATS_A_BIT = 0.6931471805599453


class Check(NamedTuple):
    """One thing that was looked at: it concerns `n` rows `of` so many; `old` and `new` are numbers under both bases."""

    check: str
    verdict: Fit
    says: str
    training_set: str | None = None
    n: int | None = None
    of: int | None = None
    old: float | None = None
    new: float | None = None


@dataclass(frozen=True)
class Taught:
    """A training set as a run learned from it: its id, kind and training rows, and at how many tokens they were cut."""

    id: str
    kind: "TrainingKind"
    rows: pl.DataFrame
    max_tokens: int


def template(old: "PreTrainedTokenizerBase | None", tokenizer: "PreTrainedTokenizerBase") -> list[Check]:
    """What the base's chat template does, whatever the rows are."""
    if tokenizer.chat_template is None:
        says = (
            "its tokenizer has no chat template, so that messages cannot be rendered. Take an instruct model, or save "
            "a chat_template.jinja beside the tokenizer"
        )
        return [Check("chat template", "refused", says)]
    reads = template_reads(tokenizer)
    said = [f"system messages are {reads.system}", f"further turns are {reads.turns}"]
    said.append(f"{', '.join(reads.unrendered)} left out" if reads.unrendered else "tools and calls are rendered")
    checks = [Check("chat template", "fits", "; ".join(said))]
    if reads.adds_system and not (old is not None and template_reads(old).adds_system):
        checks.append(Check("chat template", "finding", "it adds a system message of its own where none is given"))
    if not reads.ends:
        says = f"no answer ends with {tokenizer.eos_token!r}, at which generation stops: it does not learn to stop"
        checks.append(Check("chat template", "finding", says))
    return checks


def words(
    old: "PreTrainedTokenizerBase | None", new: "PreTrainedTokenizerBase", n_known: int | None = None
) -> list[Check]:
    """The vocabularies and the tokens that end an answer; the new base's weights know `n_known` tokens."""
    if n_known is not None and (unknown := beyond(new, n_known)):
        return [Check("vocabulary", "refused", unknown)]
    if new.eos_token_id is None:
        return [Check("vocabulary", "finding", "its tokenizer names no token that ends an answer (eos_token)")]
    before = None if old is None else len(old)
    ends = f"answers end with {new.eos_token!r}" + ("" if old is None else f", before with {old.eos_token!r}")
    return [Check("vocabulary", "fits", f"{len(new):,} tokens; {ends}", old=before, new=len(new))]


def layers(loaded: Loaded, rank: int) -> Check:
    """How many layers an adapter stands on: all that are linear but the one that names the next token."""
    from torch.nn import Linear
    from transformers.pytorch_utils import Conv1D

    if rank == 0:
        return Check("adapter", "fits", "all weights are trained")
    head = loaded.model.get_output_embeddings()
    n = sum(isinstance(each, Linear | Conv1D) and each is not head for each in loaded.model.modules())
    if n == 0:
        return Check("adapter", "refused", "it has no linear layer for an adapter. Train all weights: rank = 0", n=0)
    return Check("adapter", "fits", f"rank {rank} on {n} linear layers", n=n)


def readable(taught: Taught, tokenizer: "PreTrainedTokenizerBase") -> tuple[list[Check], pl.DataFrame]:
    """Whether the template renders each row, and how long the rows are then.

    Returns:
        The checks, and the lengths (`row_id`, parts, `row`) of the rows that it renders.
    """
    lengths, why = list[pl.DataFrame](), ""
    for row in taught.rows.iter_slices(1):
        try:
            lengths.append(token_lengths(row, taught.kind, tokenizer))
        except ModelError as error:
            why = why or str(error).rpartition("refuses them: ")[2].partition("\n")[0]
    empty = pl.DataFrame(schema={"row_id": pl.String, "prompt": pl.Int64, WHOLE: pl.Int64})
    rendered = pl.concat(lengths) if lengths else empty
    refused = taught.rows.height - rendered.height
    checks = []
    if refused:
        out = "Leave such rows out (where = … in [training])"
        out = out if lengths else "Mend its chat_template.jinja, or take another base"
        says = f"the chat template refuses the messages of {refused:,} of {taught.rows.height:,} rows ({why}). {out}"
        checks.append(_of(taught, "messages", "refused", says, refused))
    else:
        checks.append(_of(taught, "messages", "fits", "the chat template renders all rows", taught.rows.height))
    return [*checks, *_left_out(taught, template_reads(tokenizer))], rendered


def _left_out(taught: Taught, reads: TemplateReads) -> list[Check]:
    """What the rows hold and the template leaves out without a word."""
    talks = [name for name in ("prompt", "completion", "chosen", "rejected") if name in taught.rows.columns]
    message = pl.element().struct
    said = {
        "tools": pl.col("tools").str.strip_chars().fill_null("").is_in(["", "[]", "null"]).not_(),
        "tool_calls": _some(talks, message.field("tool_calls").list.len().fill_null(0) > 0),
        "tool": _some(talks, message.field("role") == "tool"),
    }
    lost = {name: n for name in reads.unrendered if (n := taught.rows.filter(said[name]).height)}
    held = taught.rows.filter(pl.any_horizontal(said.values())).height
    checks = []
    if lost:
        what = ", ".join(f"{name} in {n:,} rows" for name, n in lost.items())
        says = f"it leaves out {what}. Take a base whose template renders tools, or leave those rows out"
        checks.append(_of(taught, "tools", "refused", says, max(lost.values())))
    elif held:
        checks.append(_of(taught, "tools", "fits", f"tools and calls of {held:,} rows are rendered", held))
    systems = taught.rows.filter(_some(talks, message.field("role") == "system")).height
    if systems and reads.system == "left out":
        says = f"it leaves out the system message of {systems:,} rows"
        checks.append(_of(taught, "system", "finding", says, systems))
    return checks


def _some(talks: Sequence[str], holds: pl.Expr) -> pl.Expr:
    return pl.any_horizontal(pl.col(name).list.eval(holds).list.any() for name in talks)


def length(taught: Taught, before: pl.DataFrame | None, after: pl.DataFrame, max_tokens: int) -> Check:
    """How much longer the rows are, and how many are cut, or leave no room for an answer."""
    over, cut = _over(after, max_tokens), None if before is None else _over(before, taught.max_tokens)
    full = after.filter(pl.col("prompt") >= max_tokens).height if "prompt" in after.columns else 0
    ratio = None if before is None else _ratio(before, after)
    said = f"{over:,} of {after.height:,} rows are longer than max_tokens = {max_tokens}"
    said += "" if cut is None else f", before {cut:,} than {taught.max_tokens}"
    said += "" if ratio is None else f"; {ratio:.2f} times as many tokens"
    said += f"; {full:,} leave no room for an answer and are dropped" if full else ""
    worse = full or over > (cut or 0) or max_tokens < taught.max_tokens
    verdict: Fit = "refused" if full == after.height else "finding" if worse else "fits"
    return _of(taught, "length", verdict, said, over, old=None if ratio is None else 1.0, new=ratio)


def _ratio(before: pl.DataFrame, after: pl.DataFrame) -> float | None:
    """So many times as many tokens, over the rows that both can render; None where there are none."""
    both = before.join(after, on="row_id", suffix="_after")
    found = both.select(pl.col(f"{WHOLE}_after").sum() / pl.col(WHOLE).sum()).item()
    return float(found) if both.height else None


def _over(lengths: pl.DataFrame, limit: int) -> int:
    return lengths.filter(pl.col(WHOLE) > limit).height


def preferred(taught: Taught, old: Loaded | None, new: Loaded) -> Check:
    """The share of pairs whose chosen answer the bare base finds likelier already, by its mean token."""
    rows = _shared(taught.rows.sort("row_id").head(ASKED))
    now = prefers(new, rows).drop_nulls()
    if now.is_empty():
        return _of(taught, "preferred", "finding", "no pair fits the base's context", 0)
    share = _share(now)
    low, high = wilson(int(now.sum()), len(now))
    before = None if old is None else _share(prefers(old, rows))
    said = f"the bare base prefers the chosen answer in {share:.0%} of {len(now):,} pairs ({low:.0%} to {high:.0%})"
    said += "" if before is None else f", the old one in {before:.0%}"
    most = low is not None and low > 0.5
    said += ": there is less to learn from them" if most else ""
    return _of(taught, "preferred", "finding" if most else "fits", said, int(now.sum()), len(now), before, share)


def _share(preferred: pl.Series) -> float:
    known = preferred.drop_nulls()
    return int(known.sum()) / max(1, len(known))


def _shared(rows: pl.DataFrame) -> pl.DataFrame:
    """Whole dialogues as a prompt, which both have in common, and what follows in each."""
    if "prompt" in rows.columns:
        return rows
    made: list[Mapping[str, object]] = []
    for row in rows.iter_rows(named=True):
        chosen, rejected = row["chosen"], row["rejected"]
        same = next((i for i, (a, b) in enumerate(zip(chosen, rejected, strict=False)) if a != b), len(rejected) - 1)
        made.append(row | {"prompt": chosen[:same], "chosen": chosen[same:], "rejected": rejected[same:]})
    return pl.DataFrame(made, schema={**rows.schema, "prompt": rows.schema["chosen"]})


def known(taught: Taught, old: Loaded | None, new: Loaded) -> Check:
    """How well the bare bases foretell the good answers, in bits a byte: tokens of two vocabularies do not compare."""
    rows = taught.rows.filter("label") if taught.kind == "unpaired" else taught.rows
    rows = rows.sort("row_id").head(ASKED)
    texts = pl.col("completion").list.eval(pl.element().struct.field("content").fill_null(""))
    n_bytes = rows.select(texts.list.join("").str.len_bytes())["completion"]
    now = _bits(new, rows, n_bytes)
    then = None if old is None else _bits(old, rows, n_bytes)
    both = pl.DataFrame({"new": now, "old": then if then is not None else [0.0] * len(now)}).filter(
        pl.all_horizontal(pl.all().is_finite().fill_null(value=False))
    )
    if both.is_empty():
        return _of(taught, "loss", "finding", "no answer fits the base's context", 0)
    after = float(both["new"].mean())  # type: ignore[arg-type]
    if then is None:
        return _of(taught, "loss", "fits", f"the bare base: {after:.2f} bits a byte, n = {both.height:,}", new=after)
    before = float(both["old"].mean())  # type: ignore[arg-type]
    found = compare_scores(both["old"].to_numpy(), both["new"].to_numpy(), margin=0.0)
    bounds = ["unbounded" if each is None else f"{each:+.2f}" for each in found.interval]
    says = f"bits a byte of the answers: {before:.2f} under the old bare base, {after:.2f} under the new one, "
    says += f"{found.difference:+.2f} ({bounds[0]} to {bounds[1]}, 90 %), n = {both.height:,}"
    return _of(taught, "loss", "fits", says, both.height, rows.height, before, after)


def _bits(loaded: Loaded, rows: pl.DataFrame, n_bytes: pl.Series) -> pl.Series:
    return -log_probs(loaded, rows, "completion")["log_prob"] / NATS_A_BIT / n_bytes


def _of(
    taught: Taught,
    check: str,
    verdict: Fit,
    says: str,
    n: int | None = None,
    of: int | None = None,
    old: float | None = None,
    new: float | None = None,
) -> Check:
    return Check(check, verdict, says, taught.id, n, taught.rows.height if of is None else of, old, new)
