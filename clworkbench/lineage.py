"""Lineage: what an artefact was made from, down to the source's own records, and what was made from it."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from html import escape
from itertools import islice

import polars as pl

from clworkbench.display.text import visible
from clworkbench.errors import ArtefactError
from clworkbench.workspace import Workspace, tombstones

NAMED_BY = {
    ("interaction_id", "source_id"): "sources have a record of that id",
    ("trace_id",): "records are of that trace",
}
"""By which columns a signal is looked for, in order, and what is wrong where several are found."""

ROW_KINDS = ("training_set", "suite")
SHOWN = 3

ANSWERED = pl.format("{} {} in {}", "question", "status", pl.col("source").fill_null("a file"))
"""What is said of a label; never its text."""


@dataclass(frozen=True)
class Lineage:
    """The way down to the source's records and up to the releases.

    Attributes:
        id: what was asked for.
        kind: its kind.
        down: what it was made from: `id`, `kind`, `depth` (1 is direct), `detail`.
        up: what was made from it, likewise.
        note: what became of it, where it is there no more.
    """

    id: str
    kind: str
    down: pl.DataFrame
    up: pl.DataFrame
    note: str | None = None

    def __repr__(self) -> str:
        return f"Lineage({self.id}: {self.down.height} down, {self.up.height} up)"

    def as_dict(self) -> dict[str, object]:
        """The answer of `clw lineage --json`."""
        sides = {"up": self.up, "down": self.down}
        return {
            "id": self.id,
            "kind": self.kind,
            "note": self.note,
            **{k: v.select("id", "kind", "depth").to_dicts() for k, v in sides.items()},
        }

    def lines(self, shown: int = SHOWN) -> list[str]:
        """The lineage as text: one line for each id, `shown` of a kind at each depth."""
        text = [f"{self.id}  ({self.kind})" + (f"  {self.note}" if self.note else "")]
        for title, side in (("made from", self.down), ("made into", self.up)):
            if not side.is_empty():
                text.append(f"{title}:")
                text += _tree(side, shown)
        return [visible(line) for line in text]

    def _repr_html_(self) -> str:
        return f"<pre>{escape(chr(10).join(self.lines()))}</pre>"


def _tree(side: pl.DataFrame, shown: int) -> Iterable[str]:
    for (depth, kind), rows in side.group_by("depth", "kind", maintain_order=True):
        indent = "  " * int(str(depth))
        for row in islice(rows.iter_rows(named=True), shown):
            yield f"{indent}{row['id']}" + (f"  {row['detail']}" if row["detail"] else "")
        if rows.height > shown:
            yield f"{indent}… and {rows.height - shown:,} more ({kind}; all with --all)"


def trace(workspace: Workspace, wanted: str) -> Lineage:
    """Follows an id both ways; what was forgotten is named by its old id, with what stands in its place.

    Args:
        workspace: where to look.
        wanted: an artefact's id (with or without its kind), a signal's id, the source's own id of a signal, or a
            label's id.

    Raises:
        ArtefactError: nothing of that name, or a signal that was forgotten.
    """
    start = _find(workspace, wanted)
    kind = start.partition(":")[0]
    if kind == "signal":
        signal = start.removeprefix("signal:")
        up = _walk(workspace, _holders(workspace, signal, "signal_ids"), upwards=True)
        return Lineage(start, kind, _records(workspace, _row(start, 0)), pl.concat([_said_of(workspace, signal), up]))
    if kind == "label":
        label = start.removeprefix("label:")
        holders = [*_holders(workspace, label, "label_ids"), *_held_against(workspace, label)]
        return Lineage(start, kind, _about(workspace, label), _walk(workspace, holders, upwards=True))
    artefacts = _walk(workspace, _parents(workspace, start), upwards=False)
    sets = pl.concat([_row(start, 0), artefacts]).filter(pl.col("kind").is_in(ROW_KINDS))
    sets = sets.filter(~pl.col("id").is_in([name for name in sets["id"] if workspace.catalog.heir(name)]))
    signals = _signals_of(workspace, sets)
    down = pl.concat([artefacts, signals, _records(workspace, signals)])
    up = _walk(workspace, _children(workspace, start), upwards=True)
    return Lineage(start, kind, down, up, _replaced(workspace, start))


def _find(workspace: Workspace, wanted: str) -> str:
    for name in (wanted, *(f"{kind}:{wanted}" for kind in ROW_KINDS)):
        if workspace.catalog.artefact(name) or workspace.catalog.heir(name):
            return name
    for manifest in reversed(workspace.catalog.artefacts()):
        full = str(manifest["id"]).partition(":")[2]
        if wanted in (full, full.partition("@")[0]):
            return str(manifest["id"])
    bare = wanted.removeprefix("signal:")
    if signal := _signal(workspace, wanted, bare):
        return signal
    label = wanted.removeprefix("label:")
    if not workspace.scan("labels").filter(pl.col("label_id") == label).head(1).collect().is_empty():
        return f"label:{label}"
    if forget := tombstones.of_interaction(workspace.catalog, bare, workspace.pseudonyms):
        raise ArtefactError(f"{wanted}: a signal that was forgotten; see certificates/{forget:04d}.json.")
    raise ArtefactError(
        f"{wanted}: no artefact, no signal, no label, and no source's record of that id.\n"
        "`clw status` lists releases, runs and training sets; a signal's id is its interaction_id."
    )


def _signal(workspace: Workspace, wanted: str, bare: str) -> str | None:
    """The signal of this id, of this id in its source, or of this trace where it has no other."""
    for columns, several in NAMED_BY.items():
        match = workspace.scan("interactions").filter(pl.any_horizontal(pl.col(columns) == bare))
        found = match.select("interaction_id").unique(maintain_order=True).collect()["interaction_id"]
        if len(found) == 1:
            return f"signal:{found.item()}"
        if len(found) > 1:
            some = ", ".join(found.head(3))
            raise ArtefactError(f"{wanted}: {len(found)} {several}. Name the signal: {some}, …")
    return None


def _row(node: str, depth: int, detail: str | None = None) -> pl.DataFrame:
    return _frame([node], node.partition(":")[0], depth, [detail])


def _frame(ids: list[str], kind: str, depth: int, details: list[str | None] | None = None) -> pl.DataFrame:
    schema = {"id": pl.String, "kind": pl.String, "depth": pl.Int64, "detail": pl.String}
    columns = {
        "id": ids,
        "kind": [kind] * len(ids),
        "depth": [depth] * len(ids),
        "detail": details or [None] * len(ids),
    }
    return pl.DataFrame(columns, schema=schema)


def _walk(workspace: Workspace, first: list[str], *, upwards: bool) -> pl.DataFrame:
    """Breadth first over the edges; each id once, at its least depth."""
    step = partial(_children if upwards else _parents, workspace)
    rows, seen, level, depth = [_frame([], "", 0)], set[str](), first, 1
    while level:
        fresh = [node for node in dict.fromkeys(level) if node not in seen]
        seen.update(fresh)
        rows += [_row(node, depth, _says(workspace, node)) for node in fresh]
        level, depth = [found for node in fresh for found in step(node)], depth + 1
    return pl.concat(rows)


def _parents(workspace: Workspace, node: str) -> list[str]:
    """What an artefact was made from, and the run that it replays on another base, of which it holds no weights."""
    replays = (workspace.catalog.artefact(node) or {}).get("replays") if node.startswith("run:") else None
    return [*workspace.catalog.parents(node), *([str(replays)] if replays else [])]


def _children(workspace: Workspace, node: str) -> list[str]:
    """What was made from an artefact, and the runs that replay it on other bases."""
    runs = workspace.catalog.artefacts("run") if node.startswith("run:") else []
    return [*workspace.catalog.children(node), *(str(each["id"]) for each in runs if each.get("replays") == node)]


def _says(workspace: Workspace, node: str) -> str | None:
    if gone := _replaced(workspace, node):
        return gone
    manifest = workspace.catalog.artefact(node) or {}
    told = ("decision", "base", "replays", "examples", "signals", "steps")
    parts = [f"{key} {manifest[key]}" for key in told if key in manifest]
    return ", ".join(parts) or None


def _replaced(workspace: Workspace, node: str) -> str | None:
    heir = workspace.catalog.heir(node)
    return f"forgotten, replaced by {heir}" if heir else None


def _holders(workspace: Workspace, own: str, column: str) -> list[str]:
    """The training sets and suites in whose rows' `column` a signal or a label stands."""
    manifests = [m for kind in ROW_KINDS for m in workspace.catalog.artefacts(kind)]
    folders = {str(m["id"]): workspace.artefact_folder(str(m["id"])) / "rows.parquet" for m in manifests}
    holds = pl.col(column).list.contains(own).any()
    rows = {node: pl.scan_parquet(path) for node, path in folders.items()}
    return [
        node
        for node, found in rows.items()
        if column in found.collect_schema() and found.select(holds).collect().item()
    ]


def _held_against(workspace: Workspace, label: str) -> list[str]:
    """What judges were held against the labels of its batch."""
    rows = workspace.scan("labels").filter(pl.col("label_id") == label).select("batch_id").unique().collect()
    return [judge for batch in rows["batch_id"] for judge in workspace.catalog.children(f"labels:{batch}")]


def _said_of(workspace: Workspace, signal: str) -> pl.DataFrame:
    """The questions that people were asked about a signal, and all that they answered, each a row."""
    asks = _of_signal(workspace, "asked", signal).unique("ask_id", keep="last", maintain_order=True)
    labels = _of_signal(workspace, "labels", signal)
    depth = pl.lit(1, pl.Int64)
    asked, said = (pl.format(f"{kind}:{{}}", f"{kind}_id") for kind in ("ask", "label"))
    return pl.concat(
        [
            asks.select(id=asked, kind=pl.lit("ask"), depth=depth, detail=pl.format("{} in {}", "state", "dataset")),
            labels.select(id=said, kind=pl.lit("label"), depth=depth, detail=ANSWERED),
        ]
    )


def _of_signal(workspace: Workspace, table: str, signal: str) -> pl.DataFrame:
    return workspace.scan(table).filter(pl.col("interaction_id") == signal).collect().sort("seq")


def _about(workspace: Workspace, label: str) -> pl.DataFrame:
    """What a label is about: the candidate, where one was asked about, and the signal with its records."""
    (row,) = workspace.scan("labels").filter(pl.col("label_id") == label).head(1).collect().iter_rows(named=True)
    candidate = row["candidate_id"]
    rows = [] if candidate is None else [_row(f"candidate:{candidate}", 1, _chosen_for(workspace, candidate))]
    signal = _row(f"signal:{row['interaction_id']}", len(rows) + 1)
    return pl.concat([*rows, signal, _records(workspace, signal)])


def _chosen_for(workspace: Workspace, candidate: str) -> str | None:
    """Why a candidate was chosen."""
    found = workspace.scan("candidates").filter(pl.col("candidate_id") == candidate)
    reasons = found.select(pl.col("reasons").list.join(", ")).head(1).collect()["reasons"]
    return None if reasons.is_empty() else str(reasons.item())


def _signals_of(workspace: Workspace, sets: pl.DataFrame) -> pl.DataFrame:
    """The signals that stand in the rows of training sets and suites."""
    rows = [_frame([], "", 0)]
    for node, depth in sets.select("id", "depth").iter_rows():
        path = workspace.artefact_folder(node) / "rows.parquet"
        ids = pl.scan_parquet(path).select(pl.col("signal_ids").explode()).drop_nulls().collect()["signal_ids"]
        rows.append(_frame([f"signal:{i}" for i in ids.unique(maintain_order=True)], "signal", depth + 1))
    return pl.concat(rows).sort("depth", maintain_order=True).unique("id", keep="first", maintain_order=True)


def _records(workspace: Workspace, signals: pl.DataFrame) -> pl.DataFrame:
    """The source's own records behind signals, one deeper than these, and the files they came in."""
    wanted = signals.select("depth", interaction_id=pl.col("id").str.strip_prefix("signal:"))
    columns = ("interaction_id", "source", "source_id", "batch_id", "seq")
    rows = workspace.scan("interactions").select(columns).join(wanted.lazy(), on="interaction_id").collect()
    rows = rows.sort("depth", "seq", "interaction_id").unique("interaction_id", keep="last", maintain_order=True)
    places = {batch.batch_id: batch.detail for batch in workspace.catalog.batches(kind="ingest")}
    named = pl.Series([str(places[batch]["file"]) for batch in rows["batch_id"]], dtype=pl.String)
    hashed = pl.Series([str(places[batch]["sha256"])[:8] for batch in rows["batch_id"]], dtype=pl.String)
    found = rows.with_columns(file=named, sha=hashed, own=pl.col("source_id").fill_null("(no id of its own)"))
    records = found.select(
        id=pl.format("record:{}/{}", "source", "own"),
        kind=pl.lit("record"),
        depth=pl.col("depth") + 1,
        detail=pl.format("in {}", "file"),
    )
    files = found.select(
        id=pl.format("file:{}/{}@{}", "source", "file", "sha"),
        kind=pl.lit("file"),
        depth=pl.col("depth") + 2,
        detail=pl.lit(None, dtype=pl.String),
    )
    return pl.concat([records, files.sort("depth", "id").unique("id", keep="first", maintain_order=True)])
