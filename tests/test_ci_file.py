"""The documented workflow, run step by step as a pull request would: it is judged by its base's gates."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from clworkbench.loop.evals.scores import import_scores
from clworkbench.loop.releases.ship import gate
from clworkbench.workspace import Workspace
from tests.loop.evals.test_scores import AFTER, BEFORE, rows

PAGE = Path(__file__).parents[1] / "docs" / "how-to" / "ci.md"
BASE = 'format = 1\n[model]\nbase = "good"\n[gates]\nmetric = "score"\n'
LOOSE = BASE + '[[gates.rules]]\nname = "anything"\nmetric = "score"\nmargin = 1.0\nrequired = true\n'


def workflow() -> dict:
    return yaml.safe_load(re.search(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)[1])


def git(*words: str, at: Path) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.example", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *words], cwd=at, check=True, capture_output=True)


class Pulled:
    """A repository whose pull request proposes a model, and the runner on which the workflow's steps are run."""

    def __init__(self, place: Path) -> None:
        self.place, self.checkout = place, place / "checkout"
        self.workspace = Workspace.create(place / "served", settings=BASE)
        for model, scores in (("good", BEFORE), ("bad", [0.0] * 80), ("better", AFTER)):
            import_scores(self.workspace, rows(place / f"{model}.jsonl", scores), model=model, suite="tickets")
        origin = place / "origin"
        origin.mkdir()
        git("init", "-q", "-b", "main", at=origin)
        self.commit(origin, BASE, "good")
        git("clone", "-q", str(origin), str(self.checkout), at=place)
        git("checkout", "-q", "-b", "change", at=self.checkout)

    def commit(self, at: Path, settings: str, challenger: str) -> None:
        (at / "clw.toml").write_text(settings)
        (at / "challenger").write_text(f"{challenger}\n")
        git("add", ".", at=at)
        git("commit", "-q", "-m", "a change", at=at)

    def run(self) -> dict[str, subprocess.CompletedProcess[str]]:
        """The `run:` steps in order; after one that fails only those that run always, as on GitHub."""
        temp, done, failed = self.place / "temp", {}, False
        temp.mkdir(exist_ok=True)
        said = workflow()
        job = said["jobs"]["gate"]
        assert said["defaults"]["run"]["shell"] == "bash"
        own = {"github.base_ref": "main", "runner.temp": str(temp)}
        named = {name: re.sub(r"\$\{\{ (.*?) \}\}", lambda m: own[m[1]], str(v)) for name, v in job["env"].items()}
        environment = os.environ | named | {
            "SERVED": str(self.workspace.folder), "RUNNER_TEMP": str(temp),
            "GITHUB_STEP_SUMMARY": str(self.place / "summary.md"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }  # fmt: skip
        for step in job["steps"]:
            if "run" in step and (not failed or step.get("if") == "always()"):
                words = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
                ran = subprocess.run(words, cwd=self.checkout, env=environment, capture_output=True, text=True)
                done[step["name"]], failed = ran, failed or ran.returncode != 0
        return done


@pytest.fixture
def pulled(tmp_path, monkeypatch) -> Pulled:
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    return Pulled(tmp_path)


def test_a_change_that_loosens_its_gates_is_blocked_by_those_of_its_base(pulled):
    pulled.commit(pulled.checkout, LOOSE, "bad")
    done = pulled.run()
    assert done["Evaluate and gate"].returncode == 1
    assert "## Gate: block" in (pulled.place / "summary.md").read_text()
    assert "differs from the base's base.toml in \\[gates\\]" in (pulled.place / "summary.md").read_text()
    assert done["Report"].returncode == 0
    assert "<h1>Block: bad against good" in (pulled.checkout / "report.html").read_text()
    # By its own gates it would have passed, and the workspace that serves knows nothing of it all.
    assert pulled.workspace.catalog.artefacts("gate") == []
    (pulled.workspace.folder / "clw.toml").write_text(LOOSE)
    assert gate(pulled.workspace, "bad").report.decision == "promote"


def test_a_better_model_passes(pulled):
    pulled.commit(pulled.checkout, BASE, "better")
    done = pulled.run()
    assert {name: ran.returncode for name, ran in done.items()} == dict.fromkeys(done, 0), done
    assert "## Gate: promote" in (pulled.place / "summary.md").read_text()


def test_a_change_cannot_choose_whom_it_is_held_against(pulled):
    pulled.commit(pulled.checkout, BASE.replace('"good"', '"bad"'), "bad")
    done = pulled.run()
    assert done["Evaluate and gate"].returncode == 1


@pytest.mark.parametrize("name", ["--plan", "$(touch owned)"])
def test_a_challenger_that_is_no_name_leads_nowhere(pulled, name):
    pulled.commit(pulled.checkout, LOOSE, name)
    done = pulled.run()
    assert done["Evaluate and gate"].returncode == 2
    assert done["Report"].returncode == 2
    assert not (pulled.checkout / "owned").exists()


def test_only_what_is_documented_may_be_read_or_written():
    said = workflow()
    assert said["permissions"] == {"contents": "read"}
    assert said[True] == "pull_request"  # YAML 1.1 reads `on` as true
    checkout = said["jobs"]["gate"]["steps"][0]
    assert checkout["with"] == {"fetch-depth": 0, "persist-credentials": False}
