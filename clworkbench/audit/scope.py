"""What goes: the rows that were named, and those that hold the same texts or speak about them.

The rule, by what was named:

* **user**: all rows with the user's key (in its column, or among `attributes`). With them the rest of their traces
  (tool calls and retrievals hold the same texts), the rows that go on from them by `parent_id`, and of their
  conversations what came later, whoever it is from, for it repeats what was said before, and what bears no user's key.
  Where a trace holds other users' rows, only what stands below these rows and, without a key, above them.
* **interaction**: that one, and the same around it.
* **where**: the rows for which the expression is true, and the rest of their traces likewise.
* **retention**: each row by its own date, or by when it was committed where it has none.

Feedback goes when it is about a row that goes, is from the user, or names the user's key in its value; feedback on a
trace or a conversation when nothing of it is left, or (user, interaction) when it came after what goes. Labels and
candidates go with their interaction, labels of the user's too. Examples of suites and rows of training sets go when
one of the ids behind them goes, and the scores on such examples.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import polars as pl
import pyarrow.parquet as pq

from clworkbench import expressions
from clworkbench.audit.around import LIGHT, with_same_texts
from clworkbench.audit.asked import Asked
from clworkbench.errors import ExpressionError, ForgetError
from clworkbench.schemas import DATES, INTERACTIONS, TimestampUtc
from clworkbench.workspace import Workspace, erasing
from clworkbench.workspace.delta_log import files

PLACES = ("conversation_id", "trace_id", "source_id")
"""What feedback that is not on an interaction may name."""

KEYS = {"interactions": "user_key", "feedback": "actor_key", "labels": "annotator_key"}
AT_ONCE = 65_536


@dataclass(frozen=True)
class Scope:
    """The rows that go.

    Attributes:
        interactions: columns `LIGHT`, a row for each version.
        feedback: ids of feedback.
        labels: ids of labels.
        users: keys of the users that were named.
        traces: `source`, `trace_id` of which nothing is left.
        conversations: `source`, `conversation_id` of which nothing is left.
    """

    interactions: pl.DataFrame
    feedback: pl.Series
    labels: pl.Series
    users: pl.Series
    traces: pl.DataFrame
    conversations: pl.DataFrame

    @property
    def is_empty(self) -> bool:
        """Whether nothing goes."""
        return self.interactions.is_empty() and self.feedback.is_empty() and self.labels.is_empty()


def scope(workspace: Workspace, asked: Asked) -> Scope:
    """Finds what goes, on the disk: rows of batches that never came to count go as well.

    Raises:
        ForgetError: an id that several sources have.
        ExpressionError: the expression cannot be read, or fails on these rows.
    """
    return _Search(workspace, asked).scope()


class _Search:
    """One look at the tables' files for what is asked."""

    def __init__(self, workspace: Workspace, asked: Asked) -> None:
        self.workspace, self.asked = workspace, asked
        self.tables = {table: workspace.folder / "tables" / table for table in KEYS}
        self.keys = pl.Series("key", [*asked.keys(workspace.pseudonyms), *self._known_keys()], pl.String)

    def scope(self) -> Scope:
        first = self._first()
        if self.asked.by == "retention":
            gone = first
        else:
            gone = with_same_texts(self.tables["interactions"], first, self.keys, self.asked)
        traces, conversations = (self._emptied(gone, name) for name in ("trace_id", "conversation_id"))
        stays = {*traces.filter("left")["trace_id"], *conversations.filter("left")["conversation_id"]}
        return Scope(
            interactions=gone,
            feedback=self._feedback(gone, stays),
            labels=self._labels(gone),
            users=self.keys,
            traces=traces.filter(~pl.col("left")).drop("left"),
            conversations=conversations.filter(~pl.col("left")).drop("left"),
        )

    def _known_keys(self) -> list[str]:
        """Those of the named users that are keys which stand in the tables: no own name is ever written down."""
        names = self.asked.may_be_keys()
        if not names:
            return []
        found = [self._where(table, pl.col(column).is_in(names), column) for table, column in KEYS.items()]
        return sorted({key for rows in found for key in rows.to_series()})

    def _where(self, table: str, condition: pl.Expr, *columns: str) -> pl.DataFrame:
        return erasing.on_disk(self.tables[table], lambda rows: rows.filter(condition).select(columns))

    def _first(self) -> pl.DataFrame:
        """The rows that were named."""
        asked = self.asked
        if asked.by == "retention":
            return self._too_old("interactions", *LIGHT)
        if asked.by == "user":
            named = pl.col("user_key").is_in(self.keys.implode()) | self._named(pl.col("attributes"))
            return self._where("interactions", named, *LIGHT)
        ids = self._resolved() if asked.by == "interaction" else self._true_for(asked.values[0])
        wanted = pl.DataFrame({"interaction_id": ids}, schema={"interaction_id": pl.String})
        return erasing.standing(self.tables["interactions"], wanted, *LIGHT)

    def _named(self, text: pl.Expr) -> pl.Expr:
        return text.str.contains_any(self.keys.to_list()).fill_null(value=False)

    def _too_old(self, table: str, *columns: str) -> pl.DataFrame:
        """The rows of a table from before: by their own date, else by when they were committed."""
        batches = [(batch.batch_id, batch.committed_at) for batch in self.workspace.catalog.batches()]
        known = pl.LazyFrame(batches, schema={"batch_id": pl.String, "committed_at": TimestampUtc}, orient="row")
        old = pl.coalesce(DATES[table], "committed_at") < self.asked.before
        ask = _dated(known, old, columns)
        return erasing.on_disk(self.tables[table], ask)

    def _resolved(self) -> list[str]:
        """Interaction ids, of ids of ours or of the sources' own.

        Raises:
            ForgetError: several sources have a record of that id.
        """
        table, secret = self.tables["interactions"], self.workspace.pseudonyms
        sources = erasing.on_disk(table, lambda rows: rows.select(pl.col("source").unique()))["source"].unique()
        found: list[str] = []
        for name in self.asked.values:
            made = [name, *(secret.id(source, name) for source in sources.drop_nulls())]
            hits = pl.col("interaction_id").is_in(made) | (pl.col("source_id") == name)
            ids = self._where("interactions", hits, "interaction_id")["interaction_id"].unique().sort()
            if len(ids) > 1:
                some = ", ".join(ids.head(3))
                said = f"{name}: {len(ids)} sources have a record of that id."
                raise ForgetError(f"{said} Name the interaction: {some}, …")
            found += ids.to_list()
        return found

    def _true_for(self, text: str) -> list[str]:
        """The interactions for which an expression is true; over signals where it names what only they have."""
        own = {name: dtype for name, dtype in INTERACTIONS.items() if name != "batch_id"}
        try:
            empty = pl.DataFrame(schema=own | {"text": pl.String, "answer": pl.String})
            expressions.holds(empty, text, where="--where")
        except ExpressionError:
            signals = self.workspace.signals()
            return signals.filter(expressions.holds(signals, text, where="--where"))["interaction_id"].to_list()
        found: set[str] = set()
        for file in files(self.tables["interactions"]):
            with pq.ParquetFile(file) as parquet:
                for batch in parquet.iter_batches(AT_ONCE):
                    rows = pl.DataFrame(batch).with_columns(
                        text=_said("input", "user"), answer=_said("output", "assistant")
                    )
                    found.update(rows.filter(expressions.holds(rows, text, where="--where"))["interaction_id"])
        return sorted(found)

    def _emptied(self, gone: pl.DataFrame, name: str) -> pl.DataFrame:
        """The traces or conversations of rows that go: `source`, their id, and whether something of them is `left`."""
        place = ["source", name]
        touched = gone.select(place).drop_nulls(name).unique()
        rows = erasing.standing(self.tables["interactions"], touched, "interaction_id")
        stays = rows.join(gone, on="interaction_id", how="anti").select(place).unique()
        marked = touched.join(stays.with_columns(left=pl.lit(value=True)), on=place, how="left", nulls_equal=True)
        return marked.with_columns(pl.col("left").fill_null(value=False))

    def _feedback(self, gone: pl.DataFrame, stays: set[str]) -> pl.Series:
        """The ids of feedback that goes; `stays` are traces and conversations of which something stays."""
        found = [self._too_old("feedback", "feedback_id")] if self.asked.by == "retention" else []
        on_it = gone.select(target_id="interaction_id")
        found.append(erasing.standing(self.tables["feedback"], on_it, "feedback_id").select("feedback_id"))
        if not self.keys.is_empty():
            own = pl.col("actor_key").is_in(self.keys.implode()) | self._named(pl.col("value"))
            found.append(self._where("feedback", own, "feedback_id"))
        about = self._about_places(gone)
        going = ~pl.col("target_id").is_in(list(stays))
        if self.asked.by in ("user", "interaction"):
            going = going | (pl.col("at") >= pl.col("since")).fill_null(value=True)
        return pl.concat([*found, about.filter(going).select("feedback_id")])["feedback_id"].unique().sort()

    def _about_places(self, gone: pl.DataFrame) -> pl.DataFrame:
        """Feedback on traces and conversations of rows that go, with `since` when the first of these started.

        Ids are those of the feedback's own source; only where it has no such id, those of another.
        """
        places = pl.concat(gone.select("source", "started_at", target_id=name) for name in PLACES)
        places = places.drop_nulls("target_id")
        since = places.group_by("target_id").agg(since=pl.col("started_at").min())
        named = {name: source.target_source or name for name, source in self.workspace.settings.sources.items()}
        said = erasing.standing(
            self.tables["feedback"], since.select("target_id"), "feedback_id", "target_kind", "at", "source"
        )
        about = (
            said.filter(pl.col("target_kind").fill_null("any") != "interaction")
            .with_columns(pl.col("source").replace(named))
            .join(since, on="target_id")
        )
        on = ["source", "target_id"]
        own = about.join(places, on=on, how="semi", nulls_equal=True)
        foreign = about.join(own, on="feedback_id", how="anti")
        theirs = [
            erasing.standing(self.tables["interactions"], foreign.select("source", pl.col("target_id").alias(name)))
            .select("source", target_id=name)
            for name in PLACES
        ]  # fmt: skip
        return pl.concat([own, foreign.join(pl.concat(theirs), on=on, how="anti", nulls_equal=True)])

    def _labels(self, gone: pl.DataFrame) -> pl.Series:
        on_it = gone.select("interaction_id")
        found = [erasing.standing(self.tables["labels"], on_it, "label_id").select("label_id")]
        found.append(self._where("labels", pl.col("annotator_key").is_in(self.keys.implode()), "label_id"))
        if self.asked.by == "retention":
            found.append(self._too_old("labels", "label_id"))
        return pl.concat(found)["label_id"].unique().sort()


def _dated(known: pl.LazyFrame, old: pl.Expr, columns: tuple[str, ...]) -> Callable[[pl.LazyFrame], pl.LazyFrame]:
    return lambda rows: rows.join(known, on="batch_id", how="left").filter(old).select(columns)


def _said(column: str, role: str) -> pl.Expr:
    message = pl.element().struct
    return pl.col(column).list.eval(message.field("content").filter(message.field("role") == role)).list.last()


def cutoff(now: datetime, workspace: Workspace) -> datetime:
    """Before when the policy says that nothing is kept.

    Raises:
        ForgetError: the policy says nothing about it.
    """
    kept = workspace.settings.policy.retention
    if kept is None:
        place = workspace.folder / "clw.toml"
        raise ForgetError(f"{place}: [policy] names no retention. Say how long data is kept, e.g. retention = '365d'.")
    return now - kept
