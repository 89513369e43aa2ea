"""A forget killed at random moments: the next one ends it, to the state of an undisturbed one."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from clworkbench.audit.certificates import check
from clworkbench.audit.forget import forget
from clworkbench.workspace import Workspace
from tests.audit.people import make, where_it_stands

pytestmark = pytest.mark.slow

KILLS = 20
FORGET = """
import sys
from datetime import UTC, datetime
from clworkbench.audit.asked import asked
from clworkbench.audit.forget import forget
from clworkbench.workspace import Workspace
workspace = Workspace(sys.argv[1])
wanted = asked(datetime(2027, 1, 1, tzinfo=UTC), users=("ann@example.com",))
print("ready", flush=True)
forget(workspace, wanted, say=lambda step: print(step, flush=True))
print("done", flush=True)
"""


def state(workspace: Workspace) -> dict[str, object]:
    """All that a forget decides, but for times and the hashes that hold times."""
    told = json.loads((workspace.folder / "certificates" / "0001.json").read_text())
    rows = {}
    for table in ("interactions", "feedback", "labels", "candidates", "scores"):
        found = workspace.read(table).drop("batch_id", "seq")
        rows[table] = found.sort(found.columns[:3]).write_ndjson()
    return {
        "certificate": {
            key: told[key] for key in told if key not in ("begun_at", "verified_at", "sha256", "workspace")
        },
        "rows": rows,
        "artefacts": sorted(str(manifest["id"]) for manifest in workspace.catalog.artefacts()),
        "replaced": sorted(workspace.catalog.query("select id, heir from replaced")),
        "files": sorted(
            str(path.relative_to(workspace.folder)) for path in workspace.folder.rglob("*") if _named(path)
        ),
    }


def _named(path: Path) -> bool:
    """Files whose names do not change from run to run."""
    return path.is_file() and "tables" not in path.parts and not path.name.startswith("catalog.db")


def test_twenty_kills_at_random_moments_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLW_KEY", "6b" * 32)
    make(tmp_path / "first").catalog.close()
    whole = shutil.copytree(tmp_path / "first", tmp_path / "whole")
    words = [sys.executable, "-c", FORGET]
    subprocess.run([*words, str(whole)], check=True, capture_output=True)
    wanted, drawn, reached = state(Workspace(whole)), random.Random(5), []
    killed = 0
    while killed < KILLS:
        place = shutil.copytree(tmp_path / "first", tmp_path / f"killed-{killed}")
        for _ in range(drawn.choice((1, 1, 2))):
            running = subprocess.Popen([*words, str(place)], stdout=subprocess.PIPE, text=True, env=os.environ)
            assert running.stdout is not None
            assert running.stdout.readline() == "ready\n"
            try:
                running.wait(drawn.uniform(0.2, 2.5))
            except subprocess.TimeoutExpired:
                running.send_signal(signal.SIGKILL)
                running.wait()
            told = running.stdout.read().split()
            running.stdout.close()
            reached += told[-1:]
            if told[-1:] != ["done"] and told[-1:] != ["certificate"]:
                assert list(place.glob("certificates/*.json")) == []
        workspace = Workspace(place)
        workspace.signals()
        pl.read_delta(str(place / "tables" / "interactions"))
        subprocess.run([*words, str(place)], check=True, capture_output=True)
        assert forget(workspace, None) is None
        assert state(workspace) == wanted
        assert all(each.ok for each in check(place / "certificates" / "0001.json"))
        (place / "suite.jsonl").unlink()
        assert where_it_stands(place, ["annword", "ann@example.com", "ann first"]) == []
        workspace.catalog.close()
        shutil.rmtree(place)
        killed += told[-1:] != ["done"]
    assert len(set(reached)) > 3
