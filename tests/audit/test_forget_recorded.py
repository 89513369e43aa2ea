"""A notebook that forgets can be recorded: the record under which it runs is left alone."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from clworkbench.demo.governed import open_governed

pytestmark = pytest.mark.slow

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "jupyter" / "08_govern.ipynb"


def test_the_notebook_that_governs_is_recorded_and_its_forget_is_certified(tmp_path: Path) -> None:
    folder = open_governed(tmp_path / "w").folder
    code = "import sys; from clworkbench.cli import main; main()"
    words = ["record", str(NOTEBOOK), "--workspace", str(folder), "--json"]
    ran = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    kept = Path(json.loads(ran.stdout)["record"])
    assert {path.name for path in kept.iterdir()} >= {"manifest.json", "08_govern.ipynb", "08_govern.html"}
    assert len(list((folder / "certificates").iterdir())) == 1
