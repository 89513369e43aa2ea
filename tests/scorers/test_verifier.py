"""Verifiers in plain Python: what they return, and all that a person's code may do instead."""

import os
import time
from pathlib import Path

import polars as pl
import pytest

from clworkbench.errors import ClwError
from clworkbench.runs.grpo import verified
from clworkbench.scorers.apart import HANGS, Apart
from clworkbench.scorers.names import scorer
from clworkbench.scorers.scorer import Graded, Place, within
from clworkbench.scorers.verifier import pinned

CHECKS = """\
import os
import subprocess
import sys
import time

print("loaded")


def same(output, expected):
    return output == expected


def half(output, expected):
    return 0.5


def passes(output, expected):
    return eval(output) == 4


passes.expected_is_answer = False


def bad(output, expected):
    match output:
        case "raise":
            raise RuntimeError("no\\nway")
        case "exit":
            sys.exit(3)
        case "die":
            os._exit(7)
        case "hang":
            time.sleep(1000)
        case "print":
            print("x" * 100_000)
            sys.stderr.write("y")
            os.write(1, b'{"score": 1.0}\\n')
            return 0.25
        case "read":
            return len(sys.stdin.read()) == 0
        case "child":
            subprocess.Popen(["sleep", "1000"])
            return True
    return {"big": 1.5, "nan": float("nan"), "none": None, "text": "1", "list": [1]}[output]
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "checks.py").write_text(CHECKS)
    return Place(tmp_path)


def graded(function: str, *outputs: str | None, expected: str | None = None) -> Graded:
    wanted = pl.Series([expected] * len(outputs), dtype=pl.String)
    return scorer(f"python:checks.py:{function}").graded(pl.Series(outputs, dtype=pl.String), wanted)


def test_true_false_and_numbers_from_0_to_1_are_scores_and_no_output_is_0(place: Place):
    with within(place):
        found = graded("same", "a", "b", None, "é\n\u2028😀", expected="a")
        assert found.score.to_list() == [1, 0, 0, 0]
        assert found.error.null_count() == 4
        assert graded("half", "a").score.to_list() == [0.5]


def test_what_else_code_may_do_leaves_the_example_ungraded_with_its_error_and_the_others_graded(place: Place):
    does = ["raise", "exit", "die", "print", "read", "big", "nan", "none", "text", "list", "else"]
    with within(place):
        score, error = graded("bad", *does)
    assert score.to_list() == [None, None, None, 0.25, 1.0, *[None] * 6]
    told = dict(zip(does, error, strict=True))
    assert told["raise"].startswith("RuntimeError: no way (line ")
    assert told["exit"].startswith("called exit (3), line ")
    assert told["die"] == "ended its process (status 7)"
    assert told["big"] == "returned 1.5; a score is True, False or a number from 0 to 1"
    assert told["nan"].startswith("returned nan;")
    assert told["none"].startswith("returned None;")
    assert told["text"].startswith("returned '1';")
    assert told["list"].startswith("TypeError: ")
    assert told["else"].startswith("KeyError: 'else'")


def test_one_that_hangs_is_stopped_and_after_five_in_a_row_the_others_are_not_tried(place: Place):
    apart = Apart("python:checks.py:bad", str(place.folder / "checks.py"), "bad", place.folder, limit_s=0.2)
    outputs = pl.Series(["hang", "print", *["hang"] * HANGS, "print"])
    began = time.monotonic()
    score, error = apart.graded(outputs, pl.Series([None] * len(outputs), dtype=pl.String))
    assert time.monotonic() - began < 60
    assert score.to_list() == [None, 0.25, *[None] * (HANGS + 1)]
    assert error[0] == "took longer than 0.2 s"
    assert error[-1].startswith("not tried: 5 examples before it")


def test_what_the_code_started_ends_with_it(place: Place):
    def sleeping() -> set[str]:
        ours = set()
        for at in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if at.read_bytes().startswith(b"sleep\x001000") and os.stat(at).st_uid == os.getuid():
                    ours.add(f"{at}{os.readlink(at.parent / 'cwd')}")
            except OSError:
                continue
        return {each for each in ours if str(place.folder) in each}

    with within(place):
        assert graded("bad", "child").score.to_list() == [1.0]
    until = time.monotonic() + 10
    while sleeping() and time.monotonic() < until:
        time.sleep(0.05)
    assert sleeping() == set()


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("broken.py:f", "def f(:\n", "cannot be loaded: SyntaxError"),
        ("exits.py:f", "import sys\nsys.exit('bye')\n", r"cannot be loaded: called exit \(bye\), line 2"),
        ("empty.py:f", "", "cannot be loaded: AttributeError"),
        ("raises.py:f", "1 / 0", r"cannot be loaded: ZeroDivisionError: division by zero \(line 1\)"),
    ],
)
def test_code_that_cannot_be_loaded_is_refused_in_words(tmp_path: Path, name: str, text: str, says: str):
    (tmp_path / name.partition(":")[0]).write_text(text)
    with within(Place(tmp_path)), pytest.raises(ClwError, match=says):
        scorer(f"python:{name}")(pl.Series(["a"]), pl.Series(["a"]))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("python:absent.py:f", "no file 'absent.py'"),
        ("python:../checks.py:f", "not within the workspace's folder"),
        ("python:/etc/checks.py:f", "not within the workspace's folder"),
        ("python:no_such_module:f", "no module 'no_such_module'"),
        ("python:time:sleep", "no module 'time' in Python source"),
        ("python:checks.py", "no file or module and function"),
        ("python:checks.py:not a name", "no file or module and function"),
        ("python", "Known are .*python:<file>.py:<function>"),
    ],
)
def test_a_name_that_leads_nowhere_is_refused_before_anything_runs(place: Place, name: str, says: str):
    with within(place), pytest.raises(ClwError, match=says):
        scorer(name)


def test_only_code_that_the_settings_name_runs(place: Place):
    with within(Place(place.folder, trusted=frozenset({"python:checks.py:same"}))):
        assert scorer("python:checks.py:same").name == "python:checks.py:same"
        assert scorer(pinned("python:checks.py:same")).scaled
        for other in ("python:checks.py:half", "python:os:system"):
            with pytest.raises(ClwError, match=r"not in clw\.toml, and code runs only where"):
                scorer(other)


def test_a_module_is_found_beside_the_settings_without_being_imported(place: Place):
    package = place.folder / "mine"
    package.mkdir()
    (package / "__init__.py").write_text("from pathlib import Path\nPath('imported').touch()\n")
    (package / "rules.py").write_text("def f(output, expected):\n    return output in 'ab'\n")
    with within(place):
        found = scorer("python:mine.rules:f")
        assert not (place.folder / "imported").exists()
        assert found(pl.Series(["a", "x"]), pl.Series([None, None], dtype=pl.String)).to_list() == [1, 0]


def test_a_changed_file_is_another_verifier_and_rows_that_pin_the_old_one_are_refused(place: Place):
    name = "python:checks.py:same"
    with within(place):
        assert pinned("exact_match") == "exact_match"
        old, before = pinned(name), scorer(name).content
        assert pinned(old) == old
        assert scorer(old)(pl.Series(["a"]), pl.Series(["a"])).to_list() == [1]
        assert before is not None
        (place.folder / "checks.py").write_text(CHECKS.replace("output == expected", "True"))
        after = scorer(name).content
        assert after is not None
        assert before() != after()
        with pytest.raises(ClwError, match=r"checks.py was changed since: its SHA-256 is \w{12}… now"):
            scorer(old)
    assert not list(place.folder.rglob("__pycache__"))


def test_gold_is_the_expected_answer_unless_the_function_says_that_it_is_none(place: Place):
    expected = pl.Series(["4"])
    with within(place):
        assert scorer("python:checks.py:same").gold(expected).to_list() == ["4"]
        assert scorer("python:checks.py:passes").gold(expected).to_list() == [None]
        assert graded("passes", "2 + 2", "5", expected="assert").score.to_list() == [1, 0]


def test_rollouts_are_verified_by_a_persons_code_too(place: Place):
    with within(place):
        name = pinned("python:checks.py:same")
        assert verified(["a", "b", "c"], [name, "exact_match", name], ["a", "b", "a"]) == [1.0, 1.0, 0.0]
        bad = "python:checks.py:bad"
        assert verified(["raise", "print"], [bad, bad], [None, None]) == [0.0, 0.25]


def test_half_a_character_in_an_error_or_a_value_is_told_and_breaks_no_table(tmp_path: Path):
    (tmp_path / "odd.py").write_text(
        "class Odd:\n    def __repr__(self): raise RuntimeError('no words')\n    def __float__(self): return 2.0\n"
        "def f(output, expected):\n    if output == 'a': raise ValueError('\\ud800')\n"
        "    return Odd() if output == 'b' else '\\ud800'\n"
    )
    with within(Place(tmp_path)):
        found = scorer("python:odd.py:f").graded(pl.Series(["a", "b", "c"]), pl.Series(["x", "x", "x"]))
    assert found.score.null_count() == 3
    for words, error in zip(("ValueError: ?", "no words", "returned"), found.error, strict=True):
        assert words in error
