"""Every fenced example in README and docs runs, in the order in which it stands."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import clworkbench
from clworkbench.settings import parse_settings

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SLOW = ("replay.md", "train.md")
"""Pages whose examples train a real model."""
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def examples(page: Path, language: str) -> list[str]:
    return [code for kind, code in FENCE.findall(page.read_text()) if kind == language]


EXAMPLES = [pytest.param(page, id=page.name, marks=[pytest.mark.slow] * (page.name in SLOW)) for page in PAGES]


@pytest.mark.parametrize("page", EXAMPLES)
def test_the_examples_of_a_page_run_one_after_the_other(page, tmp_path):
    environment = os.environ | {
        "CLW_CONFIG": str(tmp_path / "config"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    shell = [code for code in examples(page, "bash") if not code.startswith("make ")]
    commands = [["bash", "-euo", "pipefail", "-c", "\n".join(shell)]] if shell else []
    commands += [[sys.executable, "-c", code] for code in examples(page, "python")]
    for command in commands:
        ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, f"{command[-1]}\n{ran.stdout}\n{ran.stderr}"


SHOWN = [(page.name, text) for page in PAGES for text in examples(page, "toml")]


@pytest.mark.parametrize(("page", "text"), SHOWN, ids=[page for page, _ in SHOWN])
def test_the_settings_that_a_page_shows_say_something_and_are_valid(page, text):
    assert parse_settings(text, page) != parse_settings("")


def test_every_public_name_stands_in_the_reference():
    reference = (ROOT / "docs" / "reference.md").read_text()
    assert [name for name in clworkbench.__all__ if f"`clw.{name}(" not in reference] == []


def test_every_relative_link_leads_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
