"""A workspace of a few people whose words went everywhere: tables, sets, a suite, scores, a sheet, a record."""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from clworkbench.loop import data
from clworkbench.loop.signals.capture import ingest
from clworkbench.loop.training_sets import convert
from clworkbench.schemas import SCORES
from clworkbench.workspace import Workspace

PEOPLE = ("ann", "bob", "cid", "dora")
SETTINGS = """\
format = 1
[policy]
leaving = "patterns"
[sources.app]
format = "openai"
[sources.spans]
format = "otlp"
[outcomes]
corrected = { negative = "edited", positive = "accepted" }
[candidates]
duplicates = "exact"
[training]
holdout = 0.0
name = "main"
"""
START = datetime(2026, 3, 2, 9, tzinfo=UTC)


def record(who: str, turn: int, *, talk: str = "first", at: datetime | None = None) -> dict[str, object]:
    """A turn of a conversation, with an operator's edit; each text holds a word that stands nowhere else."""
    started = at or START + timedelta(days=PEOPLE.index(who), hours=turn)
    word = f"{who}word{talk}{turn}"
    return {
        "id": f"{who}-{talk}-{turn}",
        "created": started.isoformat(),
        "user": f"{who}@example.com",
        "conversation_id": f"{who} {talk}",
        "messages": [
            {"role": "user", "content": f"please explain the {word} to me at once"},
            {"role": "assistant", "content": f"gladly, {word}answer is what it means"},
        ],
        "feedback": [
            {
                "name": "edited",
                "origin": "operator",
                "actor": "olga",
                "improvement": f"{word}better",
                "comment": f"{word}comment",
                "at": (started + timedelta(minutes=5)).isoformat(),
            }
        ],
    }


def make(folder: Path) -> Workspace:
    """The workspace: 16 interactions of four people, two conversations each, and all that was made of them."""
    workspace = Workspace.create(folder, settings=SETTINGS)
    rows = [record(who, turn, talk=talk) for who in PEOPLE for talk in ("first", "second") for turn in (0, 1)]
    write_lines(folder / "inbox" / "export.jsonl", rows)
    ingest(workspace, folder / "inbox" / "export.jsonl", "app")
    selection = data.choose(workspace, 16)
    data.write_candidates(workspace, selection, folder / "to-label-1.csv")
    answers = selection.frame.select("interaction_id", value=pl.lit("correct"), annotator=pl.lit("rita"))
    answers.write_csv(folder / "inbox" / "labels.csv")
    data.import_labels(workspace, folder / "inbox" / "labels.csv")
    _suite(workspace)
    first = convert.build(workspace, where="source_id LIKE '%-first-%'").id
    _learned(workspace, "run:main-one", first)
    convert.build(workspace, where="source_id LIKE 'bob-first-%' OR source_id LIKE 'cid-first-%'")
    _record(workspace)
    return workspace


def _suite(workspace: Workspace) -> None:
    """Examples out of everybody's second conversation, and the base's answers to them."""
    found = workspace.signals().filter(pl.col("conversation_id").str.ends_with("second"))
    examples = [
        {
            "id": f"example {row['source_id']}",
            "input": row["text"],
            "expected": row["answer"],
            "slices": [str(row["source_id"]).partition("-")[0]],
            "group": row["conversation_id"],
            "signal_ids": [row["interaction_id"]],
        }
        for row in found.iter_rows(named=True)
    ]
    write_lines(workspace.folder / "suite.jsonl", examples)
    suite = str(data.freeze_suite(workspace, "held", workspace.folder / "suite.jsonl")["id"])
    scores = [
        {"model": "base", "suite": suite.removeprefix("suite:"), "example_id": e["id"], "scorer": "exact_match",
         "repetition": 0, "score": 0.0, "output": f"echo {e['expected']}"}
        for e in examples
    ]  # fmt: skip
    workspace.write_batch("scored", "eval", {"scores": pl.DataFrame(scores, schema=SCORES).drop("batch_id")})
    workspace.publish("eval:held-base", parents=[suite], about={"model": "base", "suite": suite, "batch_id": "scored"})


def _learned(workspace: Workspace, run: str, training_set: str) -> None:
    """A run on a training set, its release, and a second run that went on from the first."""
    (workspace.folder / "runs" / f"{run.removeprefix('run:')}").mkdir(parents=True)
    workspace.seal_run(run, parents=[training_set], config={}, about={"base": "base", "adapter_sha256": "0"})
    workspace.publish("gate:one", parents=["eval:held-base", run], about={"challenger": run, "decision": "promote"})
    workspace.publish(
        "release:one", parents=[run, "gate:one"], about={"run": run, "gate": "gate:one", "replaces": "base"}
    )
    workspace.catalog.set_champion("release:one", "released")
    left = workspace.folder / "runs" / "main-unfinished" / "checkpoints"
    left.mkdir(parents=True)
    (left / "state.json").write_text("{}")


def _record(workspace: Workspace) -> None:
    """A record with texts and one without, as `clw record` writes them, and what a killed command left."""
    for name, texts in (("shown", True), ("plain", False)):
        folder = workspace.folder / "records" / name
        folder.mkdir(parents=True)
        shown = workspace.signals()["text"].to_list() if texts else ["none"]
        (folder / "notebook.ipynb").write_text(json.dumps({"cells": shown}))
        told = {"kind": "record", "texts": texts, "created": datetime.now(UTC).isoformat()}
        (folder / "manifest.json").write_text(json.dumps(told))
    partial = workspace.folder / "training_sets" / ".main@x.4194305.partial"
    partial.mkdir()
    shutil.copy(next(workspace.folder.glob("training_sets/main@*/rows.parquet")), partial / "rows.parquet")


def write_lines(path: Path, rows: list[dict[str, object]]) -> Path:
    """JSON lines."""
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def everything(folder: Path, *, but: tuple[str, ...] = ("inbox",)) -> Iterator[tuple[Path, bytes]]:
    """Each file of a workspace as bytes, Parquet unpacked beside its raw bytes; without folders of its owner's."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.relative_to(folder).parts[0] not in but:
            text = pl.read_parquet(path).write_ndjson().encode() if path.suffix == ".parquet" else b""
            yield path, path.read_bytes() + text


def where_it_stands(folder: Path, words: list[str], **but: tuple[str, ...]) -> list[tuple[str, str]]:
    """In which files which of these words stand."""
    found = everything(folder, **but)
    return [(str(path.relative_to(folder)), word) for path, raw in found for word in words if word.encode() in raw]
