"""A rollout for other servers: what LiteLLM's settings and vLLM's line say, and what LiteLLM's router then does."""

import json
import shlex
import subprocess
import sys
import venv
from collections import defaultdict
from pathlib import Path

import pytest
import yaml
from scipy.stats import binomtest

from clworkbench.errors import EvidenceError
from clworkbench.releases.rollout_export import litellm_config, routed, vllm_line
from clworkbench.settings import Source
from tests.chat_server import chat_server, said
from tests.signals.whole import Whole, read_whole

WEIGHTS = {"release:old": 0.75, "release:new": 0.25}
LITELLM = "litellm==1.106.2"
ROUTED = """
import asyncio, json, sys, yaml, litellm
from litellm import Router
from litellm.integrations.custom_logger import CustomLogger

settings, out, conversations = yaml.safe_load(open(sys.argv[1])), sys.argv[2], int(sys.argv[3])
for model in settings["model_list"]:
    model["litellm_params"]["api_key"] = "none"
rows = []

class Log(CustomLogger):
    async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
        rows.append(kwargs["standard_logging_object"])

litellm.callbacks = [Log()]
router = Router(model_list=settings["model_list"], **settings["router_settings"])

async def main():
    # LiteLLM's memory holds 200 sessions: a conversation's two turns follow each other closely.
    for number in range(conversations):
        for turn in range(2):
            asked = [{"role": "user", "content": f"turn {turn} of {number}"}]
            await router.acompletion(model="desk", messages=asked, metadata={"session_id": f"c{number}"})
    while len(rows) < 2 * conversations:
        await asyncio.sleep(0.1)

asyncio.run(asyncio.wait_for(main(), 300))
with open(out, "w") as file:
    file.writelines(json.dumps(row, default=str) + "\\n" for row in rows)
"""


def config(weights: dict[str, float] = WEIGHTS, url: str = "http://127.0.0.1:8000/v1") -> str:
    models = routed(weights, champion="release:old")
    return litellm_config(models, stage="25%", release="release:new", group="desk", url=url)


def adapter(folder: Path, rank: int, **more: object) -> Path:
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"r": rank, **more}))
    return folder


def test_litellms_settings_hold_both_models_under_one_name_with_their_weights_and_facts():
    read = yaml.safe_load(config())
    assert [
        (m["model_name"], m["litellm_params"]["model"], m["litellm_params"]["weight"]) for m in read["model_list"]
    ] == [
        ("desk", "hosted_vllm/release:new", 0.25),
        ("desk", "hosted_vllm/release:old", 0.75),
    ]
    assert read["model_list"][1]["litellm_params"]["tags"] == [
        "clw.release_id=release:old", "clw.propensity=0.75", "clw.rollout=release:new", "clw.stage=25%",
        "clw.arm=champion", "clw.challenger_chance=0.25",
    ]  # fmt: skip
    assert read["router_settings"]["num_retries"] == 0
    assert read["router_settings"]["disable_cooldowns"] is True


def test_a_model_without_weight_is_left_out_as_a_router_falls_back_on_what_is_there():
    read = yaml.safe_load(config({"release:old": 1.0, "release:new": 0.0}))
    assert [m["model_info"]["id"] for m in read["model_list"]] == ["release:old"]


def test_a_name_full_of_signs_stays_a_text():
    models = routed({"a: [\"}\n- 'x": 0.5, "b #": 0.5}, champion="b #")
    read = yaml.safe_load(litellm_config(models, stage="5%", release="a", group="x: y", url="http://h/v1"))
    assert {m["model_info"]["id"] for m in read["model_list"]} == {"a: [\"}\n- 'x", "b #"}
    assert read["model_list"][0]["model_name"] == "x: y"


def test_vllms_line_names_base_adapters_and_the_next_rank_that_it_takes(tmp_path):
    folders = {
        "release:old": adapter(tmp_path / "an old one", 8),
        "release:new": adapter(tmp_path / "new", 9, rank_pattern={"q": 20}),
    }
    words = shlex.split(vllm_line("/models/base", folders, base_name=None, port=8001))
    assert words[:7] == ["vllm", "serve", "/models/base", "--host", "127.0.0.1", "--port", "8001"]
    assert words[7:12] == ["--enable-lora", "--max-loras", "2", "--max-lora-rank", "32"]
    assert words[12] == "--lora-modules"
    assert [json.loads(word) for word in words[13:]] == [
        {"name": "release:old", "path": str(tmp_path / "an old one")},
        {"name": "release:new", "path": str(tmp_path / "new")},
    ]


def test_a_base_that_answers_as_itself_keeps_its_name(tmp_path):
    line = vllm_line("org/base", {"release:new": adapter(tmp_path / "a", 8)}, base_name="hf:org/base", port=8000)
    assert "--served-model-name hf:org/base" in line


def test_a_rank_that_vllm_does_not_take_is_refused(tmp_path):
    with pytest.raises(EvidenceError, match="release:new has rank 600, and vLLM takes 512 at most"):
        vllm_line("b", {"release:new": adapter(tmp_path / "a", 600)}, base_name=None, port=8000)


@pytest.fixture(scope="module")
def litellm_python(tmp_path_factory) -> Path:
    """LiteLLM in an environment of its own, as its requirements are not ours."""
    place = tmp_path_factory.mktemp("litellm")
    venv.create(place, with_pip=True)
    python = place / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    command = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", LITELLM]
    if subprocess.run(command, capture_output=True, check=False, timeout=600).returncode:
        pytest.skip(f"{LITELLM} cannot be installed from here")
    return python


@pytest.mark.slow
def test_litellms_router_shares_out_as_exported_keeps_sessions_and_its_log_tells_the_rollout(litellm_python, tmp_path):
    settings, log, script = tmp_path / "litellm.yaml", tmp_path / "log.jsonl", tmp_path / "routed.py"
    script.write_text(ROUTED)
    with chat_server(lambda _, __: said("On its way.")) as chat:
        settings.write_text(config(url=chat.url))
        ran = subprocess.run(
            [litellm_python, script, settings, log, "400"], capture_output=True, text=True, check=False, timeout=400
        )
    assert ran.returncode == 0, ran.stderr
    told: Whole = read_whole(log, Source("litellm", format="litellm"))
    arms: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for row in told.interactions.iter_rows(named=True):
        facts = json.loads(row["attributes"])
        assert (facts["clw.rollout"], facts["clw.stage"], facts["clw.challenger_chance"]) == (
            "release:new",
            "25%",
            "0.25",
        )
        arms[row["conversation_id"]].append((row["release_id"], row["propensity"]))
    assert len(arms) == 400
    assert all(len(turns) == 2 and len(set(turns)) == 1 for turns in arms.values())
    assert {turns[0] for turns in arms.values()} == {("release:old", 0.75), ("release:new", 0.25)}
    drawn = sum(turns[0][0] == "release:new" for turns in arms.values())
    # LiteLLM draws without a seed: one run in ten thousand fails by chance.
    assert binomtest(drawn, 400, 0.25).pvalue > 1e-4
