"""The lease of the whole workspace: it waits for all others, keeps all others out, and says whom it is about."""

import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from clworkbench.errors import LeaseError
from clworkbench.workspace import Workspace
from clworkbench.workspace.leases import WHOLE

HOLD = """
import sys, time
from clworkbench.workspace import Workspace
with Workspace(sys.argv[1]).lease(sys.argv[2], sys.argv[3]):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("CLW_KEY", "6b" * 32)
    return Workspace.create(tmp_path / "w")


class Holder:
    """Another process that holds a lease until it is told to end."""

    def __init__(self, workspace: Workspace, name: str, verb: str) -> None:
        words = [sys.executable, "-c", HOLD, str(workspace.folder), name, verb]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "held\n"

    def __enter__(self) -> "Holder":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate("\n")


def test_the_whole_workspace_is_not_had_while_somebody_holds_something(workspace):
    with (
        Holder(workspace, "ingest app", "ingest") as other,
        pytest.raises(
            LeaseError, match=rf"workspace: process {other.process.pid} on .* \(`clw ingest`\) holds 'ingest"
        ),
        workspace.lease(WHOLE, "forget"),
    ):
        pass
    with workspace.lease(WHOLE, "forget"):
        assert workspace.catalog.query("select name, verb from leases") == [(WHOLE, "forget")]


@pytest.mark.parametrize("name", ["ingest app", "run:main-1", "cycle", WHOLE])
def test_nobody_gets_any_lease_while_the_whole_workspace_is_held(workspace, name):
    said = "held by process" if name == WHOLE else "holds the whole workspace"
    with (
        Holder(workspace, WHOLE, "forget"),
        pytest.raises(LeaseError, match=rf"^{name}: .*{said}|^{name}: process .* \(`clw forget`\) {said}"),
        workspace.lease(name, "ingest"),
    ):
        pass


def test_a_dead_holder_of_the_whole_workspace_is_replaced_at_once(workspace):
    with Holder(workspace, WHOLE, "forget") as other:
        other.process.kill()
        other.process.wait()
        with workspace.lease("ingest app", "ingest"):
            assert workspace.catalog.query("select name from leases") == [("ingest app",)]


def test_a_dead_holder_of_something_does_not_keep_the_whole_workspace_from_anybody(workspace):
    with Holder(workspace, "cycle", "cycle") as other:
        other.process.kill()
        other.process.wait()
        with workspace.lease(WHOLE, "forget"):
            assert workspace.catalog.query("select name from leases") == [(WHOLE,)]


def test_whoever_waits_is_told_once_for_whom_and_then_goes_on(workspace, caplog):
    with Holder(workspace, "ingest app", "ingest") as other, caplog.at_level(logging.WARNING):
        timer = threading.Timer(1.0, lambda: other.process.stdin.write("\n") and other.process.stdin.flush())
        timer.start()
        with workspace.lease(WHOLE, "forget", wait_s=30):
            pass
        timer.join()
    [told] = [record.getMessage() for record in caplog.records]
    assert told.startswith(f"workspace: process {other.process.pid} on ")
    assert told.endswith("holds 'ingest app'; waiting for it, at most 30 s")


def test_two_different_leases_are_held_at_the_same_time(workspace):
    with Holder(workspace, "ingest app", "ingest"), workspace.lease("ingest other", "ingest"):
        assert workspace.catalog.query("select count(*) from leases") == [(2,)]


def test_a_process_that_was_started_by_the_holder_may_have_the_whole_workspace(workspace):
    with workspace.lease("record notebook", "record"):
        with Holder(workspace, WHOLE, "forget"):
            held = workspace.catalog.query("select name from leases order by name")
        assert held == [("record notebook",), (WHOLE,)]
        assert workspace.catalog.query("select name from leases") == [("record notebook",)]
