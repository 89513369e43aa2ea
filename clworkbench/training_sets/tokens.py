"""Token statistics: how long the rows of a training set are for a given tokenizer, and what a limit would cut."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from clworkbench.display.html import html_table
from clworkbench.display.tokens_figure import tokens_figure
from clworkbench.models.chat import dialogue_tokens, prompt_tokens
from clworkbench.schemas import TrainingKind

if TYPE_CHECKING:
    from plotly.graph_objects import Figure
    from transformers import PreTrainedTokenizerBase

WHOLE = "row"
"""The longest that a row can be: its prompt with its longer answer."""


@dataclass(frozen=True, eq=False)
class TokenStatistics:
    """How long rows are, in tokens.

    Attributes:
        id: the training set's.
        model: whose tokenizer and chat template it was.
        max_tokens: where rows are cut.
        rows: one row for each of the set's: `row_id`, a column for each part (`prompt`, answers) and `row`.
    """

    id: str
    model: str
    max_tokens: int
    rows: pl.DataFrame

    @property
    def frame(self) -> pl.DataFrame:
        """One row for each part, and for `row`: `part`, `n`, `min`, `median`, `p95`, `max` (tokens)."""
        parts = [name for name in self.rows.columns if name != "row_id"]
        return pl.concat(
            self.rows.select(
                part=pl.lit(name),
                n=pl.col(name).count().cast(pl.Int64),
                min=pl.col(name).min(),
                median=pl.col(name).median(),
                p95=pl.col(name).quantile(0.95, "linear"),
                max=pl.col(name).max(),
            )
            for name in parts
        )

    @property
    def over(self) -> int:
        """Rows longer than `max_tokens`."""
        return self.rows.filter(pl.col(WHOLE) > self.max_tokens).height

    @property
    def lost(self) -> float | None:
        """The share of all tokens that `max_tokens` cuts off (0 to 1); None where there are none."""
        beyond = (pl.col(WHOLE) - self.max_tokens).clip(0).sum() / pl.col(WHOLE).sum()
        found = self.rows.select(beyond).item() if self.rows.height else None
        return None if found is None else float(found)

    def __repr__(self) -> str:
        return f"TokenStatistics({self.id}: {self.said()})"

    def said(self) -> str:
        """The limit's price in words."""
        share = "" if self.lost is None else f", which cuts off {self.lost:.1%} of all tokens"
        return f"{self.over:,} of {self.rows.height:,} rows are longer than max_tokens = {self.max_tokens:,}{share}"

    def lines(self) -> list[str]:
        """For a terminal."""
        heads = f"  tokens       {'':<10}{'min':>8}{'median':>8}{'p95':>8}{'max':>8}"
        rows = [
            f"{'':<15}{part:<10}{least or 0:>8,}{middle or 0:>8,.0f}{high or 0:>8,.0f}{most or 0:>8,}"
            for part, _, least, middle, high, most in self.frame.iter_rows()
        ]
        return [heads, *rows, f"{'':<15}{self.said()}"]

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        told = {"model": self.model, "max_tokens": self.max_tokens, "over": self.over, "lost": self.lost}
        return {**told, "parts": self.frame.to_dicts()}

    def _repr_html_(self) -> str:
        heads = ("part", "n", "min", "median", "95 % are at most", "max")
        rows = self.frame.with_columns(pl.col("median", "p95").round().cast(pl.Int64))
        return html_table(heads, rows.iter_rows(), caption=f"{self.id}, tokens of {self.model}: {self.said()}")

    def plot(self) -> "Figure":
        """How many rows are how long, and where they are cut."""
        return tokens_figure(self.rows[WHOLE], self.max_tokens, title=f"{self.id}: {self.over:,} rows are too long")


def token_lengths(rows: pl.DataFrame, kind: TrainingKind, tokenizer: "PreTrainedTokenizerBase") -> pl.DataFrame:
    """The lengths of each row's parts, as the chat template renders them, schemas of tools and all.

    Args:
        rows: of a training set.
        kind: of the rows.
        tokenizer: of the base.

    Returns:
        `row_id`; by kind `prompt`, `completion`, `chosen`, `rejected` (an answer is what its dialogue has more than the
        prompt; of reward rows, all of the dialogue); and `row`, the longest dialogue.

    Raises:
        ModelError: the chat template refuses a row's messages.
    """
    answers = [name for name in ("completion", "chosen", "rejected") if name in rows.columns]
    parts = (["prompt"] if "prompt" in rows.columns else []) + answers
    schema = {"row_id": pl.String(), **dict.fromkeys(parts, pl.Int64()), WHOLE: pl.Int64()}
    return pl.DataFrame(list(_lengths(rows, kind, answers, tokenizer)), schema=schema, orient="row")


def _lengths(
    rows: pl.DataFrame, kind: TrainingKind, answers: Sequence[str], tokenizer: "PreTrainedTokenizerBase"
) -> Iterator[list[str | int]]:
    for row in rows.iter_rows(named=True):
        tools, prompt = row.get("tools"), row.get("prompt") or []
        before = len(prompt_tokens(tokenizer, prompt, tools)) if kind != "reward" else 0
        wholes = [len(dialogue_tokens(tokenizer, [*prompt, *row[name]], tools)) for name in answers]
        own = [before] if kind != "reward" else []
        yield [row["row_id"], *own, *(max(0, whole - before) for whole in wholes), max([before, *wholes])]
