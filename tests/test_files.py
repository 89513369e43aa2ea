"""A full disk is said in words; every other failure comes through as it is."""

from pathlib import Path

import pytest

from clworkbench.errors import ArtefactError
from clworkbench.files import told_when_full


def test_a_device_that_is_full_says_what_could_not_be_written_where():
    with pytest.raises(ArtefactError, match=r"the report: could not be written to /dev/full: no room \(.* MB free"):  # noqa: SIM117
        with told_when_full("the report", Path("/dev/full")):
            Path("/dev/full").write_text("x")


@pytest.mark.parametrize(
    "words", ["I/O error: No space left on device (os error 28)", "PytorchStreamWriter failed writing file data/0"]
)
def test_libraries_that_wrap_the_system_s_words_are_understood(words: str, tmp_path: Path):
    with pytest.raises(ArtefactError, match="Make room"), told_when_full("training", tmp_path / "not" / "there"):
        raise RuntimeError(words)


@pytest.mark.parametrize("error", [FileNotFoundError(2, "No such file"), RuntimeError("a bug"), KeyboardInterrupt()])
def test_other_failures_are_not_touched(error: BaseException, tmp_path: Path):
    with pytest.raises(type(error)) as seen, told_when_full("training", tmp_path):
        raise error
    assert seen.value is error
