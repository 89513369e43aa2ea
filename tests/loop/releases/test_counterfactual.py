"""A served model's rate over all traffic: by hand, against a known truth, by slice, and refused in words."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from clworkbench.cli.main import clw
from clworkbench.errors import EvidenceError
from clworkbench.loop.releases.counterfactual import counterfactual
from clworkbench.loop.signals.capture import ingest
from clworkbench.statistics.intervals import wilson
from clworkbench.workspace import Workspace

SETTINGS = """\
format = 1
[sources.app]
format = "openai"
[outcomes]
good = { negative = "edited", positive = "accepted" }
[slices]
money = "text LIKE '%money%'"
rare = "text LIKE '%never%'"
"""
OLD, NEW = "release:old", "release:new"


@pytest.fixture
def place(tmp_path, monkeypatch) -> Workspace:
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    return Workspace.create(tmp_path / "w", settings=SETTINGS)


def answer(
    number: int,
    model: str,
    good: int | None,
    chance: float | None,
    *,
    text: str = "hello",
    conversation: str = "",
    rollout: bool = True,
) -> dict[str, object]:
    """An answer of which a challenger's chance was `chance`."""
    own = None if chance is None else chance if model == NEW else 1 - chance
    arm = "challenger" if model == NEW else "champion"
    facts = {"clw.rollout": NEW, "clw.stage": "50%", "clw.arm": arm, "clw.challenger_chance": str(chance)}
    said = [] if good is None else [{"name": "accepted" if good else "edited", "at": "2026-03-03T09:00:00Z"}]
    return {
        "id": f"a{number}",
        "created": "2026-03-02T09:00:00Z",
        "messages": [{"role": "user", "content": f"{text} {number}"}, {"role": "assistant", "content": "yes"}],
        "metadata": {"release_id": model, "propensity": own, "conversation_id": conversation or f"c{number}"},
        "feedback": said,
        **(facts if rollout else {}),
    }


def put(place: Workspace, rows: list[dict[str, object]]) -> Workspace:
    path = place.folder / "log.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    ingest(place, [path], source="app")
    return place


def half(*, rollout: bool = True) -> list[dict[str, object]]:
    """40 conversations each at 50 %: the challenger is good in 30 of 40, all of money's 20 among them."""
    rows = [answer(n, NEW, n < 30, 0.5, text="money" if n < 20 else "hello", rollout=rollout) for n in range(40)]
    return rows + [answer(100 + n, OLD, n < 20, 0.5, text="money", rollout=rollout) for n in range(40)]


def test_at_one_chance_it_is_the_models_own_rate(place):
    found = counterfactual(put(place, half()), NEW)
    new, old = found.frame.rows(named=True)
    assert (new["model"], new["rate"], new["low"], new["high"]) == pytest.approx((NEW, 0.75, *wilson(30, 40)))
    assert (new["conversations"], new["answered"], new["effective"]) == (80, 40, pytest.approx(40))
    assert (old["model"], old["rate"]) == (OLD, pytest.approx(0.5))


def test_by_hand_two_stages_weigh_by_their_chances(place):
    # 10 good of 10 at 10 % weigh 100; 20 good of 40 at 50 % weigh 40 of 80: (100 + 40) / 180.
    rows = [answer(n, NEW, 1, 0.1) for n in range(10)]
    rows += [answer(50 + n, NEW, n < 20, 0.5) for n in range(40)]
    rows += [answer(200 + n, NEW, n < 50, 0.9) for n in range(90)]
    # and 50 good of 90 at 90 % weigh 55.56 of 100.
    rows += [answer(400 + n, OLD, 1, 0.5) for n in range(5)]
    found = counterfactual(put(place, rows), NEW).frame.row(0, named=True)
    assert found["rate"] == pytest.approx((100 + 40 + 50 / 0.9) / (100 + 80 + 100))
    assert found["effective"] == pytest.approx(280**2 / (10 * 100 + 40 * 4 + 90 / 0.81))


def test_a_routers_own_log_of_two_models_will_do(place):
    found = counterfactual(put(place, half(rollout=False)), NEW)
    assert found.frame["rate"].to_list() == pytest.approx([0.75, 0.5])


def test_by_slice_one_with_too_little_says_so(place):
    found = counterfactual(put(place, half()), NEW, slices=True).frame.filter(model=NEW)
    assert found["slice"].to_list() == ["all", "money", "rare"]
    assert found["rate"].to_list() == [0.75, None, None]
    assert "20.0 equally weighted ones, and 30 are needed" in found["says"][1]
    assert "no settled outcome at all" in found["says"][2]


def test_answers_of_unknown_chance_and_open_outcome_do_not_count(place):
    rows = [*half(), answer(900, OLD, None, 0.5), answer(901, OLD, 1, None)]
    found = counterfactual(put(place, rows), NEW)
    assert found.frame["conversations"][0] == 80
    assert found.left_out == 1


def test_it_covers_the_truth_where_stages_and_questions_are_confounded(place):
    """As shares grow, questions become harder: the plain mean is wrong, the estimate is not."""
    random, rows = np.random.default_rng(11), []
    for number in range(3000):
        chance, good = (0.1, 0.9) if number < 1500 else (0.9, 0.5)
        model = NEW if random.random() < chance else OLD
        rows.append(answer(number, model, bool(random.random() < good), chance))
    found = counterfactual(put(place, rows), NEW).frame.row(0, named=True)
    assert found["low"] < 0.7 < found["high"]
    own = [row for row in rows if row["metadata"]["release_id"] == NEW]
    assert np.mean([row["feedback"][0]["name"] == "accepted" for row in own]) < found["low"]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([], "it gave no answer that signals hold"),
        ([answer(1, OLD, 1, 0.5)], "Those that did: release:old"),
        ([answer(n, NEW, 1, None) for n in range(40)], "none of 40 settled answers .* has a known propensity"),
        ([answer(n, NEW, 1, 0.0) for n in range(40)], "the log contradicts itself"),
        ([answer(n, NEW, 1, 0.5) for n in range(9)], "count as 9.0 equally weighted ones"),
        (
            [answer(n, m, 1, 0.5, rollout=False) for n, m in enumerate([NEW, OLD, "release:third"] * 20)],
            "3 models shared its traffic",
        ),
        ([answer(0, NEW, None, 0.5), answer(1, OLD, 1, 0.5)], "it gave none of 1 answers"),
    ],
    ids=["nothing", "never served", "no chances", "chance 0", "too few", "three models", "not settled"],
)
def test_what_would_mean_nothing_is_refused_in_words(place, rows, says):
    if rows:
        put(place, rows)
    with pytest.raises(EvidenceError, match=says):
        counterfactual(place, NEW)


def test_the_command_answers_draws_and_escapes(place, tmp_path):
    put(place, half())
    page = tmp_path / "page.html"
    asked = ["rollout", "estimate", NEW, "--slices", "--html", str(page), "--workspace", str(place.folder)]
    shown = CliRunner().invoke(clw, asked)
    assert shown.exit_code == 0, shown.output
    assert "75.0% good" in shown.output
    assert page.stat().st_size > 10_000
    told = json.loads(CliRunner().invoke(clw, [*asked, "--json"]).stdout)
    assert told["model"] == NEW
    assert told["estimates"][0]["rate"] == 0.75
    assert "<table" in counterfactual(place, NEW)._repr_html_()
