"""`clw label pull` as a script and a person meet it."""

import json
import subprocess
from collections.abc import Iterator

import pytest

from tests.loop.annotators import REQUIRED, Desk, opened
from tests.serving.conftest import CLW

pytestmark = pytest.mark.argilla


@pytest.fixture
def desk(tmp_path, argilla_server) -> Iterator[Desk]:
    with opened(tmp_path, argilla_server) as made:
        yield made


def clw(*options: str, desk: Desk) -> subprocess.CompletedProcess[str]:
    command = [*CLW, "label", "pull", *options, "--workspace", str(desk.workspace.folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_pull_answers_in_one_object_and_an_unknown_set_is_told_with_those_there_are(desk):
    desk.push(desk.ids[:1])
    desk.answer(desk.annotator(f"ann-{desk.name}"), desk.ids[0], REQUIRED)

    found = json.loads(clw(desk.name, "--json", desk=desk).stdout)
    refused = clw("other", desk=desk)

    assert (found["new"], found["withdrawn"], found["left_out"]) == (5, 0, {})
    assert set(found["agreement"]["answer"]) >= {"alpha", "low", "high", "n"}
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith(f"clw: no question set 'other'. There: {desk.name}.")
