"""What was made of rows: training sets and suites that hold them, and files that may show their texts."""

import csv
import io
import json
import re
from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from clworkbench.audit.annotators import cards
from clworkbench.audit.gone import Gone
from clworkbench.files import write_atomically
from clworkbench.training_sets.length_bias import length_bias
from clworkbench.workspace import Workspace
from clworkbench.workspace.answers import Answers
from clworkbench.workspace.artefacts import VERSION_DIGITS, read_manifest, sha256_rows
from clworkbench.workspace.folder import FOLDERS

ROW_KINDS = ("training_set", "suite")
SHEET = b"interaction_id,reasons,text,answer"
"""How a sheet for reviewers begins (`labels.reviewers_file.candidates_file`)."""

OURS = (*FOLDERS.values(), "records", "certificates", "argilla", "cache")
"""Folders in which nobody but `clw` writes."""

TEXTS = frozenset({"prompt", "completion", "chosen", "rejected", "tools", "input", "expected"})
"""Columns of rows that need not be read to know whom they are about."""

UNREADABLE = (".parquet", ".safetensors", ".bin", ".pt", ".gz", ".zst", ".zstd", ".arrow")
_ID = re.compile(rb"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
_PIECE = 8 << 20


@dataclass
class Derived:
    """What has to be made again, or removed.

    Attributes:
        sets: training sets and suites that hold such rows, and in how many rows: all, and those of the split `train`.
        examples: of suites, the ids of the examples that go.
        runs: folders of unfinished runs on such sets.
        sheets: sheets for reviewers with such rows.
        pages: records and pages that may show their texts.
        cards: signals whose records at the annotators' show their texts.
        model_answers: how many kept answers of models were given to these examples.
        since: when the first of the rows was committed (ISO 8601): no earlier page shows its texts.
    """

    sets: dict[str, tuple[int, int]] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)
    runs: list[str] = field(default_factory=list)
    sheets: list[str] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)
    cards: list[str] = field(default_factory=list)
    model_answers: int = 0
    since: str | None = None

    def and_later(self, found: "Derived") -> "Derived":
        """This, and what was found later."""
        suites = {**self.examples, **found.examples}
        ours, theirs = self.examples, found.examples
        return Derived(
            sets=found.sets | self.sets,
            examples={name: _joined(ours.get(name, []), theirs.get(name, [])) for name in suites},
            runs=_joined(self.runs, found.runs),
            sheets=_joined(self.sheets, found.sheets),
            pages=_joined(self.pages, found.pages),
            cards=_joined(self.cards, found.cards),
            model_answers=max(self.model_answers, found.model_answers),
            since=self.since,
        )

    def files(self) -> list[str]:
        """All that is removed, or has rows taken out of it."""
        return [*self.runs, *self.sheets, *self.pages]

    def cleared(self) -> dict[str, int]:
        """How many of each kind."""
        files = {"runs": len(self.runs), "sheets": len(self.sheets), "pages": len(self.pages)}
        return {**files, "model_answers": self.model_answers}


def _joined(first: list[str], second: list[str]) -> list[str]:
    return [*dict.fromkeys([*first, *second])]


def derived(workspace: Workspace, gone: Gone, since: str | None) -> Derived:
    """Finds what was made of the rows that go; nothing is changed.

    Args:
        workspace: where.
        gone: the ids.
        since: as in `Derived`.
    """
    found = Derived(since=since)
    for kind in ROW_KINDS:
        # By the folders: what a kill kept out of the catalog holds rows too.
        for path in sorted((workspace.folder / FOLDERS[kind]).glob("[!.]*/rows.parquet")):
            artefact = artefact_in(path.parent, kind)
            if artefact is None or (rows := holding(path, gone)).is_empty():
                continue
            learned = rows.filter(pl.col("split") == "train") if "split" in rows.columns else rows
            found.sets[artefact] = (rows.height, learned.height)
            if kind == "suite":
                found.examples[artefact.removeprefix("suite:")] = rows["example_id"].to_list()
    names = {artefact.partition(":")[2].partition("@")[0] for artefact in found.sets}
    found.runs = [_in(workspace, folder) for folder in _unfinished_runs(workspace) if _name_of(folder) in names]
    tokens = gone.tokens()
    found.sheets = [_in(workspace, path) for path in _sheets(workspace) if holds_token(path, tokens)]
    found.pages = [_in(workspace, path) for path in _pages(workspace, tokens, since)]
    found.cards = cards(workspace, gone)
    found.model_answers = Answers(workspace.folder).count(own for ids in found.examples.values() for own in ids)
    return found


def artefact_in(folder: Path, kind: str) -> str | None:
    """The artefact that lies in a folder, or None where it has no manifest or another's."""
    artefact = f"{kind}:{folder.name}"
    return artefact if (read_manifest(folder) or {}).get("id") == artefact else None


def holding(rows: Path, gone: Gone) -> pl.DataFrame:
    """The rows of a training set or suite behind which one of the ids stands, less their texts."""
    lazy = pl.scan_parquet(rows)
    columns = lazy.collect_schema().names()
    light = lazy.select(c for c in columns if c not in TEXTS).collect()
    light = light.with_row_index("row")
    found = []
    for column, ids in {
        "signal_ids": gone.interactions,
        "feedback_ids": gone.feedback,
        "label_ids": gone.labels,
    }.items():
        if column in columns:
            own = light.select("row", own=pl.col(column)).explode("own")
            found.append(own.filter(pl.col("own").is_in(ids.implode()))["row"])
    if "group" in columns:
        groups = gone.theirs(light["group"].drop_nulls().unique())
        found.append(light.filter(pl.col("group").is_in(groups.implode()))["row"])
    return light.filter(pl.col("row").is_in(pl.concat(found).implode())) if found else light.clear()


def rebuild(workspace: Workspace, artefact: str, gone: Gone, forget: int) -> str:
    """Publishes a training set or a suite again without what goes, in the old one's place; returns its id.

    Both manifests tell the same but for the counts; the old folder is removed, and its name leads to the new one.
    """
    kind, _, full = artefact.partition(":")
    folder = workspace.artefact_folder(artefact)
    manifest = read_manifest(folder)
    assert manifest is not None
    frame = pl.read_parquet(folder / "rows.parquet")
    lost = holding(folder / "rows.parquet", gone)["row"]
    kept = frame.with_row_index("row").filter(~pl.col("row").is_in(lost.implode())).drop("row")
    own = {"kind", "id", "parents", "code_version", "config_sha256", "rows_sha256", "files"}
    about = {key: _without_ids(value, gone.tokens()) for key, value in manifest.items() if key not in own}
    about |= _counted(kind, kept, manifest, len(lost)) | {"forgotten": len(lost), "replaces": artefact}
    parents = [str(parent) for parent in manifest["parents"]]  # type: ignore[attr-defined]
    config = _without_ids(manifest.get("settings"), gone.tokens())
    name = full.partition("@")[0]
    heir = f"{kind}:{name}@{sha256_rows(kept)[:VERSION_DIGITS]}"
    before, own_place = workspace.catalog.published(heir), workspace.catalog.published(artefact)
    made = workspace.publish_rows(kind, name, kept, parents=parents, config=config, about=about)
    assert made["id"] == heir
    place = own_place if before is None or made.get("replaces") == artefact else before
    workspace.catalog.replace_artefact(artefact, heir, place or 0, forget)
    return heir


def _without_ids(value: object, tokens: Set[bytes]) -> object:
    """A value of a manifest with ids that go struck out."""
    if isinstance(value, dict):
        return {key: _without_ids(inner, tokens) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_ids(inner, tokens) for inner in value]
    if not isinstance(value, str):
        return value
    struck = _ID.sub(lambda own: b"forgotten" if own[0] in tokens else own[0], value.encode("utf-8", "surrogatepass"))
    return struck.decode("utf-8", "surrogatepass")


def _counted(kind: str, kept: pl.DataFrame, manifest: dict[str, object], lost: int) -> dict[str, object]:
    """What a manifest says of its rows, counted again."""
    if kind == "suite":
        slices = kept["slices"].explode().drop_nulls().value_counts().iter_rows()
        return {"examples": kept.height, "slices": dict(sorted(slices))}
    dropped = manifest.get("dropped")
    counts: dict[str, object] = (
        {"dropped": {**dropped, "forgotten": dropped.get("forgotten", 0) + lost}} if isinstance(dropped, dict) else {}
    )
    for name, column in (("splits", "split"), ("rules", "rule")):
        if column in kept.columns:
            counts[name] = dict(sorted(kept[column].value_counts().iter_rows()))
    if "length_bias" in manifest:
        counts["length_bias"] = length_bias(kept)
    if "n_new" in manifest:
        learned = kept.filter(pl.col("split") == "train").height
        counts["n_new"] = min(int(str(manifest["n_new"])), learned)
    return counts


def cut_sheet(path: Path, gone: Gone) -> None:
    """Takes the rows of a reviewers' sheet that go out of it; what was filled in elsewhere stays."""
    tokens = {own.decode() for own in gone.tokens()}
    text = path.read_bytes().decode("utf-8-sig")
    csv.field_size_limit(2**31 - 1)
    rows = list(csv.reader(io.StringIO(text, newline="")))
    kept = [row for row in rows if not row or row[0] not in tokens]
    into = io.StringIO(newline="")
    csv.writer(into, lineterminator="\n").writerows(kept)
    write_atomically(path, into.getvalue())


def _in(workspace: Workspace, path: Path) -> str:
    return str(path.relative_to(workspace.folder))


def _unfinished_runs(workspace: Workspace) -> list[Path]:
    runs = [path for path in (workspace.folder / FOLDERS["run"]).glob("[!.]*") if path.is_dir()]
    return [path for path in runs if read_manifest(path) is None]


def _name_of(run: Path) -> str:
    return run.name.rpartition("-")[0]


def _sheets(workspace: Workspace) -> Iterator[Path]:
    """Files that begin as the sheets do which `clw select --out` and `clw cycle` write."""
    for path in own_files(workspace.folder):
        if path.suffix.lower() == ".csv":
            with path.open("rb") as file:
                if file.read(len(SHEET) + 3).removeprefix(b"\xef\xbb\xbf").startswith(SHEET):
                    yield path


def _pages(workspace: Workspace, tokens: Set[bytes], since: str | None) -> Iterator[Path]:
    """Records with texts that were made since the rows are there, others with one of the ids, and the demo's page."""
    for folder in sorted((workspace.folder / "records").glob("[!.]*")):
        manifest = _manifest(folder)
        texts = manifest.get("texts", True) and since is not None and str(manifest.get("created", since)) >= since
        inside = [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else [folder]
        if texts or any(holds_token(path, tokens) for path in inside):
            yield folder
    page = workspace.folder / "index.html"
    if (workspace.folder / "story.json").exists() and page.exists() and holds_token(page, tokens):
        yield page


def _manifest(record: Path) -> dict[str, object]:
    try:
        told = json.loads((record / "manifest.json").read_text())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def own_files(folder: Path) -> Iterator[Path]:
    """The files of a workspace outside its tables, its catalog and its spool, in order."""
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).parts
        theirs = inside[0] in ("tables", "spool") or inside[0].startswith("catalog.db")
        if not theirs and path.is_file() and not path.is_symlink():
            yield path


def holds_token(path: Path, tokens: Set[bytes]) -> bool:
    """Whether one of these ids stands in a file; packed files and tensors are not looked into."""
    if path.suffix.lower() in UNREADABLE:
        return False
    return any(found in tokens for found in ids_in(path))


def ids_in(path: Path) -> Iterator[bytes]:
    """All that looks like an id of ours in a file: 32 hex digits by themselves."""
    rest = b""
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            text = rest + piece
            yield from _ID.findall(text)
            rest = text[-64:]
