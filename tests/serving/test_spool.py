"""The spool: what is acknowledged is on the disk, many share one sync, and a torn end is left out."""

import asyncio
import errno
import os
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from clworkbench.serving.spool import SEAL_BYTES, Frame, Spool, SpoolFull, SpoolUnwritable, frames

MANY = 1 << 30


def kept(spool: Spool) -> list[bytes]:
    return [frame.body for log in sorted(spool.folder.glob("*.log")) for frame in frames(log)]


def test_what_is_added_is_on_the_disk_when_add_returns(tmp_path):
    async def add() -> None:
        spool = Spool(tmp_path / "spool", MANY)
        await spool.add("traces", b"one")
        assert kept(spool) == [b"one"]
        await spool.add("events", b"")
        log = next(spool.folder.iterdir())
        assert list(frames(log)) == [Frame("traces", b"one"), Frame("events", b"")]
        assert stat.S_IMODE(log.stat().st_mode) == 0o600

    asyncio.run(add())


def test_bodies_that_come_together_share_a_sync(tmp_path, monkeypatch):
    synced = []
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda file: synced.append(real(file)))

    async def add() -> Spool:
        spool = Spool(tmp_path / "spool", MANY)
        await asyncio.gather(*(spool.add("json", b"%d" % number) for number in range(500)))
        return spool

    assert sorted(map(int, kept(asyncio.run(add())))) == list(range(500))
    assert len(synced) <= 2


def test_a_log_is_closed_at_its_size_and_by_seal_and_bodies_stay_in_order(tmp_path):
    async def add() -> Spool:
        spool = Spool(tmp_path / "spool", MANY)
        for number in range(5):
            await spool.add("json", bytes([number]) * (SEAL_BYTES // 2))
        assert len(await spool.seal()) == 3
        assert await spool.seal() == sorted(spool.folder.iterdir())
        await spool.add("json", b"\x05")
        assert len(await spool.seal()) == 4
        return spool

    assert [body[0] for body in kept(asyncio.run(add()))] == [0, 1, 2, 3, 4, 5]


def test_more_than_may_wait_is_refused_until_a_log_is_forgotten(tmp_path):
    async def add() -> None:
        spool = Spool(tmp_path / "spool", 1000)
        await spool.add("json", bytes(900))
        with pytest.raises(SpoolFull):
            await spool.add("json", bytes(200))
        (log,) = await spool.seal()
        log.unlink()
        spool.forget(log)
        await spool.add("json", bytes(200))
        assert kept(spool) == [bytes(200)]

    asyncio.run(add())


def test_logs_that_a_killed_capture_left_count_and_are_handed_out(tmp_path):
    async def add() -> None:
        await Spool(tmp_path / "spool", MANY).add("json", bytes(900))

    async def again() -> None:
        spool = Spool(tmp_path / "spool", 1000)
        with pytest.raises(SpoolFull):
            await spool.add("json", bytes(200))
        assert len(await spool.seal()) == 1

    asyncio.run(add())
    asyncio.run(again())


def test_a_failed_sync_acknowledges_none_of_its_group_and_the_next_goes_into_another_log(tmp_path, monkeypatch):
    real = os.fdatasync

    def fails(file: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    async def add() -> Spool:
        spool = Spool(tmp_path / "spool", MANY)
        await spool.add("json", b"before")
        monkeypatch.setattr(os, "fdatasync", fails)
        told = await asyncio.gather(spool.add("json", b"a"), spool.add("json", b"b"), return_exceptions=True)
        assert [type(fault) for fault in told] == [SpoolUnwritable, SpoolUnwritable]
        monkeypatch.setattr(os, "fdatasync", real)
        await spool.add("json", b"after")
        return spool

    spool = asyncio.run(add())
    assert kept(spool) == [b"before", b"after"]
    assert len(list(spool.folder.iterdir())) == 2


def test_a_fault_that_nobody_foresaw_acknowledges_nothing_and_the_spool_goes_on(tmp_path, monkeypatch):
    def fails(file: int) -> None:
        raise MemoryError

    async def add() -> Spool:
        spool = Spool(tmp_path / "spool", 2000)
        await spool.add("json", b"before")
        with monkeypatch.context() as patch:
            patch.setattr(os, "fdatasync", fails)
            async with asyncio.timeout(5):
                told = await asyncio.gather(*(spool.add("json", bytes(300)) for _ in range(3)), return_exceptions=True)
            assert [str(fault) for fault in told] == ["its writer failed"] * 3
        async with asyncio.timeout(5):
            await spool.add("json", b"after")
            await spool.add("json", bytes(1800))
        return spool

    assert kept(asyncio.run(add())) == [b"before", b"after", bytes(1800)]


def test_a_system_without_fdatasync_syncs_all_the_same(tmp_path, monkeypatch):
    synced = []
    real = os.fsync
    monkeypatch.delattr(os, "fdatasync")
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(real(file)))
    folder = written(tmp_path / "spool", b"one").parent
    assert [frame.body for log in folder.iterdir() for frame in frames(log)] == [b"one"]
    assert len(synced) == 2  # the folder in which the log is new, and the log


def test_what_is_kept_as_unread_counts_until_it_is_deleted(tmp_path):
    async def add() -> None:
        spool = Spool(tmp_path / "spool", 1000)
        unread = spool.folder / "unread" / "1.otlp.jsonl"
        unread.parent.mkdir()
        unread.write_bytes(bytes(900))
        await spool.seal()
        for full in (spool, Spool(spool.folder, 1000)):
            with pytest.raises(SpoolFull):
                await full.add("json", bytes(200))
        unread.unlink()
        await spool.seal()
        await spool.add("json", bytes(200))

    asyncio.run(add())


def test_a_disk_that_is_full_acknowledges_nothing_and_keeps_what_it_had(tmp_path):
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk needs rights that this user lacks")

    async def add() -> list[bytes]:
        spool = Spool(place / "spool", MANY)
        taken: list[bytes] = []
        faults: set[str] = set()
        for number in range(8):
            body = bytes([number]) * 200_000
            try:
                await spool.add("json", body)
                taken.append(body)
            except SpoolUnwritable as fault:
                faults.add(str(fault))
        assert kept(spool) == taken
        assert len(taken) in (4, 5)
        assert faults == {"No space left on device"}
        for log in await spool.seal():
            log.unlink()
            spool.forget(log)
        await spool.add("json", b"room again")
        await spool.seal()
        return kept(spool)

    try:
        assert asyncio.run(add()) == [b"room again"]
    finally:
        subprocess.run(["umount", place], check=True)


def written(folder: Path, *bodies: bytes) -> Path:
    async def add() -> Path:
        spool = Spool(folder, MANY)
        for body in bodies:
            await spool.add("json", body)
        return (await spool.seal())[-1]

    return asyncio.run(add())


@given(cut=some.integers(1, 40), junk=some.binary(max_size=30))
def test_a_torn_end_is_left_out_and_all_before_it_read(tmp_path_factory, cut, junk):
    log = written(tmp_path_factory.mktemp("w") / "spool", b"first", b"second", b"x" * 40)
    log.write_bytes(log.read_bytes()[:-cut] + junk[: max(cut - 1, 0)])
    assert [frame.body for frame in frames(log)][:2] == [b"first", b"second"]
    assert len(list(frames(log))) == 2
