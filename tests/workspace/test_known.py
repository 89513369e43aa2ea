"""Keys in 16 bytes: what is held is found again, and nothing else is."""

import hashlib
import random

import polars as pl
import pytest

from clworkbench.workspace.known import HALVES, KnownRows

DRAWN = random.Random(3)


def hexadecimal(n: int) -> str:
    return DRAWN.randbytes(n // 2).hex()


def interactions(*keys: tuple[str, str]) -> pl.DataFrame:
    frame = pl.DataFrame(keys, schema=["interaction_id", "raw_sha256"], orient="row")
    return frame.with_row_index("record")


def keys(n: int) -> list[tuple[str, str]]:
    return [(hexadecimal(32), hexadecimal(64)) for _ in range(n)]


def held(*frames: pl.DataFrame, table: str = "interactions") -> KnownRows:
    known = KnownRows("s")
    for seq, frame in enumerate(frames, 1):
        known.add_batch({table: frame}, seq)
    return known


def test_what_is_held_is_left_out_and_the_rest_stays_in_its_order():
    old, new = keys(50), keys(50)
    mixed = old + new
    DRAWN.shuffle(mixed)
    fresh = held(interactions(*old)).fresh("interactions", interactions(*mixed))
    assert fresh.select("interaction_id", "raw_sha256").rows() == [key for key in mixed if key in set(new)]


def test_of_rows_with_one_key_the_first_is_taken():
    one, other = keys(2)
    fresh = held().fresh("interactions", interactions(one, other, one, other, one))
    assert fresh["record"].to_list() == [0, 1]


def test_keys_that_were_taken_in_by_many_batches_are_all_found():
    batches = [keys(DRAWN.randint(1, 40)) for _ in range(120)]
    known = held(*(interactions(*batch) for batch in batches))
    for batch in batches:
        assert known.fresh("interactions", interactions(*batch)).is_empty()
    assert known.fresh("interactions", interactions(*keys(500))).height == 500
    assert known.seq == 120


def test_each_half_of_an_id_and_of_a_hash_tells_rows_apart():
    same_id, same_hash = hexadecimal(32), hexadecimal(64)
    other_end = same_hash[:31] + ("0" if same_hash[31] != "0" else "1") + same_hash[32:]
    known = held(interactions((same_id, same_hash)))
    changed = interactions((same_id, other_end), (same_id[::-1], same_hash), (same_id, hexadecimal(64)))
    assert known.fresh("interactions", changed).height == 3


def test_ids_and_hashes_that_end_in_zeros_are_told_apart():
    zero, one = "0" * 32, "0" * 31 + "1"
    known = held(interactions((zero, "0" * 64)))
    assert known.fresh("interactions", interactions((zero, "0" * 64), (one, "0" * 64))).height == 1


def test_the_same_bytes_at_two_places_are_two_quarantined_rows():
    digest = hashlib.sha256(b"{half").hexdigest()
    frame = pl.DataFrame({"sha256": [digest] * 3, "offset": [0, 7, 0], "source": ["s"] * 3})
    assert held(table="quarantine").fresh("quarantine", frame)["offset"].to_list() == [0, 7]
    assert held(frame[:1], table="quarantine").fresh("quarantine", frame)["offset"].to_list() == [7]


@pytest.mark.parametrize("table", HALVES)
def test_no_rows_are_no_keys(table):
    columns = ("interaction_id", "feedback_id", "raw_sha256", "sha256")
    frame = pl.DataFrame(schema=dict.fromkeys(columns, pl.String) | {"offset": pl.Int64})
    known = held(frame, table=table)
    assert known.fresh(table, frame).is_empty()
