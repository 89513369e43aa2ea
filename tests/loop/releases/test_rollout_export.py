"""A rollout is written for LiteLLM and vLLM, or it is said why not."""

import json
import shlex
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from clworkbench.cli.main import clw
from clworkbench.errors import ArtefactError, EvidenceError
from clworkbench.loop.releases.rollout import advance, begin
from clworkbench.loop.releases.rollout_export import export
from clworkbench.workspace import Workspace


def released(workspace: Workspace, name: str, base: str = "hf:org/base", rank: int = 16) -> str:
    """A release of a run with an adapter."""
    about = {"method": "sft", "adapter_sha256": "0" * 64, "base": base}

    def write(folder: Path) -> None:
        (folder / "adapter").mkdir()
        (folder / "adapter" / "adapter_config.json").write_text(json.dumps({"r": rank}))

    run = str(workspace.publish(f"run:{name}", write, about=about)["id"])
    return str(workspace.publish(f"release:{name}", parents=[run])["id"])


@pytest.fixture
def rolling(workspace) -> Workspace:
    """5 % of the traffic comes to release:new."""
    old, new = released(workspace, "old"), released(workspace, "new")
    begin(workspace, new, old)
    advance(workspace, "enough seen")
    return workspace


def test_both_files_say_what_the_stage_says(rolling, tmp_path):
    made = export(rolling, tmp_path / "out", group="desk", url="http://models:9000/v1")
    assert made.weights == {"release:old": 0.95, "release:new": 0.05}
    read = yaml.safe_load((tmp_path / "out" / "litellm.yaml").read_text())
    assert {m["model_info"]["id"]: m["litellm_params"]["weight"] for m in read["model_list"]} == made.weights
    words = shlex.split((tmp_path / "out" / "vllm.sh").read_text())
    assert words[:3] == ["vllm", "serve", "org/base"]
    assert words[words.index("--port") + 1] == "9000"
    paths = {json.loads(w)["name"]: json.loads(w)["path"] for w in words[words.index("--lora-modules") + 1 :]}
    assert paths["release:new"] == str(rolling.artefact_folder("run:new") / "adapter")


def test_the_command_prints_and_answers_in_one_object(rolling, tmp_path):
    place = ["rollout", "export", str(tmp_path / "out"), "--workspace", str(rolling.folder)]
    shown = CliRunner().invoke(clw, place)
    assert shown.exit_code == 0, shown.output
    assert "routing_strategy: simple-shuffle" in shown.output
    answer = json.loads(CliRunner().invoke(clw, [*place, "--json"]).stdout)
    assert (answer["release"], answer["stage"], answer["champion"]) == ("release:new", "5%", "release:old")
    assert answer["weights"] == {"release:old": 0.95, "release:new": 0.05}


def test_without_a_rollout_it_is_refused(workspace, tmp_path):
    with pytest.raises(EvidenceError, match="no rollout goes on"):
        export(workspace, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_shadow_is_refused(workspace, tmp_path):
    begin(workspace, released(workspace, "new"), released(workspace, "old"))
    with pytest.raises(EvidenceError, match="is in the shadow"):
        export(workspace, tmp_path / "out")


@pytest.mark.parametrize(
    ("bases", "says"),
    [(("hf:org/a", "hf:org/b"), "stand on 2 bases"), (("pypi:x", "pypi:x"), "vLLM loads no pypi:x")],
    ids=["two bases", "a package"],
)
def test_what_one_vllm_cannot_serve_is_refused(workspace, tmp_path, bases, says):
    begin(workspace, released(workspace, "new", bases[0]), released(workspace, "old", bases[1]))
    advance(workspace, "enough seen")
    with pytest.raises(EvidenceError, match=says):
        export(workspace, tmp_path / "out")


def test_an_address_with_a_key_is_refused_without_showing_it(rolling, tmp_path):
    with pytest.raises(ArtefactError, match="without a key") as refused:
        export(rolling, tmp_path / "out", url="http://me:secret@models/v1")
    assert "secret" not in str(refused.value)


def test_a_file_in_the_way_is_refused(rolling, tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(ArtefactError, match="is a file"):
        export(rolling, tmp_path / "out")
