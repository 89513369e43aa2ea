"""One lesson: a signal that was corrected, what was said, and its way into a release."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

import polars as pl

from clworkbench.display.html import AS_TYPED
from clworkbench.errors import EvidenceError
from clworkbench.lineage import trace
from clworkbench.loop.look import slice_of
from clworkbench.loop.turns import Turn
from clworkbench.workspace import Workspace

SPEAKERS = {"text": "customer", "answer": "model", "improvement_text": "correction"}
MUTED = "color:#7b8794"


@dataclass(frozen=True, eq=False)
class Lesson:
    """A corrected signal and its way into a release.

    Attributes:
        signal: its id.
        said: what the customer, the model and the correction said; empty where texts were not asked for.
        way: from the file in which it came to the release (or the gate): `kind`, `id`, `detail`.
    """

    signal: str
    said: Mapping[str, str]
    way: pl.DataFrame

    def __repr__(self) -> str:
        return f"Lesson({self.signal}: {' → '.join(self.way['kind'])})"

    def _repr_html_(self) -> str:
        said = "".join(_line(who, f"“{escape(text)}”", "") for who, text in self.said.items())
        steps = "".join(
            _line(kind.replace("_", " "), f"<code>{escape(name)}</code>", escape(detail or ""))
            for kind, name, detail in self.way.iter_rows()
        )
        return f"<table {AS_TYPED} style='border-collapse:collapse;margin:0'><tbody>{said}{steps}</tbody></table>"


def _line(title: str, body: str, note: str) -> str:
    left = f"<td style='text-align:right;padding:3px 10px;vertical-align:top;{MUTED}'>{escape(title)}</td>"
    return (
        f"<tr>{left}<td style='text-align:left;padding:3px 10px'>{body} <span style='{MUTED}'>{note}</span></td></tr>"
    )


def lesson(workspace: Workspace, turn: Turn, *, texts: bool = False) -> Lesson:
    """The latest correction that a turn learned from, in the gates' target slice where there is one.

    Args:
        workspace: where the turn was taken.
        turn: one of `turns`.
        texts: whether what was said is shown as well.

    Raises:
        EvidenceError: the turn learned from no correction and no label.
    """
    rows = workspace.rows(turn.waterfall.id).filter(pl.col("rule").is_in(["corrected", "labelled"]))
    found = workspace.signals().join(
        rows.select(interaction_id=pl.col("signal_ids").explode()), on="interaction_id", how="semi"
    )
    if found.is_empty():
        raise EvidenceError(
            f"{turn.waterfall.id}: learned from no correction. See its rows with `workspace.rows(...)`."
        )
    target = workspace.settings.gates.target
    inside = found.filter(slice_of(workspace, found, target)) if target in workspace.settings.slices else found
    last = (inside if inside.height else found).sort("started_at", "interaction_id").row(-1, named=True)
    said = {who: str(last[column]) for column, who in SPEAKERS.items() if last[column]} if texts else {}
    return Lesson(str(last["interaction_id"]), said, _way(workspace, turn, str(last["interaction_id"])))


def _way(workspace: Workspace, turn: Turn, signal: str) -> pl.DataFrame:
    """From the file that a signal came in up to the release, each thing once."""
    end = turn.release or turn.report.challenger
    start, back = trace(workspace, f"signal:{signal}"), trace(workspace, end)
    between = start.up.join(back.down.select("id"), on="id", how="semi").sort("depth", maintain_order=True)
    steps = [*start.down.reverse().rows(named=True), {"kind": "signal", "id": start.id, "detail": None}]
    steps += [*between.rows(named=True), {"kind": back.kind, "id": end, "detail": None}]
    return pl.DataFrame(steps, schema={"kind": pl.String, "id": pl.String, "detail": pl.String})
