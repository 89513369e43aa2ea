"""A hundred thousand records that were valid until somebody changed a byte, a value or a name in them."""

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

import polars as pl
import pytest

from clworkbench.demo.exports import exports
from clworkbench.settings import Source
from clworkbench.signals.containers import container
from clworkbench.signals.recognise import FORMATS
from clworkbench.signals.values import Unreadable, decoded
from tests.signals.whole import read_whole

pytestmark = pytest.mark.slow

EACH = 100_000 // len(FORMATS) + 1
ODD = (
    None,
    "",
    0,
    -1,
    1e308,
    2**63,
    "NaN",
    "\u0000",
    "\ud7ff",
    True,
    [],
    {},
    [[]],
    [None],
    {"role": 7},
    "[{",
    "{}",
)
BYTES = (b"\x00", b"\xff", b"{", b"]", b'"', b"\\", b",", b"\xed\xa0\x80", b"__proto__", b"9" * 40, b"[" * 2000)
LARGEST = 20_000
"""Bytes of a valid record; more says nothing more and takes long."""


def examples(folder: Path) -> Iterator[dict[str, object]]:
    """Records of all containers below a folder."""
    for path in sorted(folder.rglob("*")):
        if path.suffix not in (".json", ".jsonl", ".csv", ".traj"):
            continue
        for number, item in enumerate(container(path).items()):
            try:
                record = item.row if item.raw is None else decoded(item.raw)
            except Unreadable:
                continue
            if isinstance(record, dict) and len(item.raw or b"") < LARGEST:
                yield record
            if number == 20:
                break


def changed(value: object, random: Random) -> object:
    """The value with one thing in it, at any depth, replaced, removed, doubled or renamed."""
    if isinstance(value, str) and value[:1] in ("{", "[") and random.random() < 0.5:
        try:
            return json.dumps(changed(json.loads(value), random))
        except ValueError:
            return value[: random.randrange(len(value))]
    if isinstance(value, dict) and value and random.random() < 0.9:
        key = random.choice(list(value))
        other = {**value, key: changed(value[key], random)}
        match random.randrange(6):
            case 0:
                del other[key]
            case 1:
                other[random.choice(("__proto__", "", "id", "role", key + "."))] = other.pop(key)
        return other
    if isinstance(value, list) and value and random.random() < 0.9:
        at = random.randrange(len(value))
        return [*value[:at], changed(value[at], random), *value[at + random.randrange(2) :]]
    return random.choice(ODD)


def mutated(record: dict[str, object], random: Random) -> bytes:
    if random.random() < 0.6:
        for _ in range(random.randrange(1, 4)):
            record = dict(found) if isinstance(found := changed(record, random), dict) else record
        return json.dumps(record).encode()
    raw = bytearray(json.dumps(record, ensure_ascii=random.random() < 0.5).encode("utf-8", "replace"))
    for _ in range(random.randrange(1, 4)):
        at = random.randrange(len(raw))
        raw[at : at + random.randrange(9)] = random.choice(BYTES)
    return bytes(raw).replace(b"\n", b" ")


@pytest.mark.parametrize("name", FORMATS)
def test_every_mutated_record_ends_in_one_place(tmp_path: Path, shared_data: Path, name: str) -> None:
    random = Random(f"fuzz {name}")
    known = [r for folder in (exports().traffic.parent, shared_data) for r in examples(folder) if FORMATS[name].why(r)]
    known = known or [{"messages": [], "input": "{}", "output": [], "id": "1", "info": {}, "data": {"spans": []}}]
    path = tmp_path / "mutated.jsonl"
    with path.open("wb") as file:
        file.writelines(mutated(random.choice(known), random) + b"\n" for _ in range(EACH))
    whole = read_whole(path, Source("fuzz", format=name), chunk_bytes=1 << 40)
    rows = pl.concat([whole.interactions["record"], whole.feedback["record"]]).n_unique()
    assert rows + whole.skipped.total() + whole.quarantine.height == whole.records
    assert whole.records >= EACH
    assert whole.quarantine.height < whole.records
    assert whole.quarantine["reason"].str.len_chars().min() > 5
