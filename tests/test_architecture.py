"""Who imports whom: the stages meet in tables, the ground floor knows no stage, and heavy packages stay unloaded."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "clworkbench"
STAGES = ("signals", "slices", "candidates", "labels", "training_sets", "runs", "evals", "releases")
GROUND = (
    "errors",
    "files",
    "schemas",
    "settings",
    "expressions",
    "display",
    "statistics",
    "similarity",
    "models",
    "scorers",
    "policy",
)
JOINERS = ("workspace", "lineage", "audit", "loop", "records", "serving", "demo", "cli")
HEAVY = {
    "torch", "transformers", "trl", "peft", "datasets", "argilla", "evidently", "scipy", "plotly", "pandas",
    "presidio_analyzer", "spacy",
}  # fmt: skip


def imported(path: Path) -> set[str]:
    """The rooms of our own that a file imports, at its top or inside a function."""
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module == "clworkbench":
            names = [f"clworkbench.{alias.name}" for alias in node.names]
        rooms |= {name.split(".")[1] for name in names if name.startswith("clworkbench.")}
    return rooms


def rooms() -> dict[str, set[str]]:
    """What each room imports."""
    found: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        found.setdefault(room, set()).update(imported(path) - {room})
    return found


def test_every_room_is_a_stage_the_ground_floor_or_a_joiner():
    assert set(rooms()) - {"__init__"} <= {*STAGES, *GROUND, *JOINERS}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_imports_only_the_ground_floor(stage: str):
    assert rooms().get(stage, set()) <= set(GROUND)


def test_the_ground_floor_imports_only_the_ground_floor():
    found = rooms()
    assert {room: found[room] - set(GROUND) for room in GROUND if room in found and found[room] - set(GROUND)} == {}


def test_a_joiner_imports_only_joiners_named_before_it():
    found = rooms()
    for number, room in enumerate(JOINERS):
        allowed = {*GROUND, *STAGES, *JOINERS[:number]}
        assert found.get(room, set()) <= allowed, room


def test_the_page_about_the_architecture_names_every_room():
    page = (PACKAGE.parent / "docs" / "architecture.md").read_text()
    assert [room for room in set(rooms()) - {"__init__"} if f"`{room}`" not in page] == []
    drawn = page.partition("```mermaid")[2].partition("```")[0]
    assert [room for room in JOINERS if f" {room}" not in drawn] == []
    assert " --> ".join(JOINERS) in drawn


def test_importing_the_package_and_the_command_line_loads_nothing_heavy():
    code = "import clworkbench, clworkbench.cli, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert HEAVY & set(loaded) == set()
    assert "clworkbench.cli" in loaded
