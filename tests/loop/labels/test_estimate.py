"""Rates over all signals from labels of candidates: of a workspace, and refused where nothing is known."""

import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from click.testing import CliRunner

import clworkbench as clw
from clworkbench.cli.main import clw as command
from clworkbench.errors import EvidenceError
from clworkbench.loop import data
from clworkbench.loop.signals.capture import ingest
from clworkbench.schemas import LABELS, MESSAGES
from clworkbench.workspace import Workspace

SETTINGS = """\
format = 1
[outcomes]
thumbs = { score = "thumbs" }
[candidates]
duplicates = "exact"
quotas = { failure = 0.5 }
"""
N, BAD = 400, 40


@pytest.fixture
def place(tmp_path, monkeypatch) -> Workspace:
    """400 answers; a tenth has a thumb down."""
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    # One draw: a 95 % interval misses for one key in twenty.
    monkeypatch.setenv("CLW_KEY", "07" * 32)
    made = Workspace.create(tmp_path / "w", settings=SETTINGS)
    rows = [
        {
            "id": f"a{number}",
            "created": (datetime(2026, 3, 2, tzinfo=UTC) + timedelta(minutes=number)).isoformat(),
            "app": "desk" if number < N / 2 else "phone",
            "messages": [{"role": "user", "content": f"q {number}"}, {"role": "assistant", "content": "a"}],
            "feedback": [{"name": "thumbs", "score": -1 if number % 10 == 0 else 1}],
        }
        for number in range(N)
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    ingest(made, tmp_path / "a.jsonl", "openai")
    return made


def label(workspace: Workspace, said: dict[str, str], question: str = "answer", **more: object) -> None:
    row = {"annotator_key": "ann", "status": "submitted", "source": "reviewers", "at": datetime(2026, 4, 1, tzinfo=UTC)}
    rows = [
        {**dict.fromkeys(LABELS), **row, **more, "label_id": f"{question} {which}{more.get('status', '')}",
         "interaction_id": which, "question": question, "value": value}
        for which, value in said.items()
    ]  # fmt: skip
    frame = pl.DataFrame(rows, schema=LABELS)
    data.keep_labels(workspace, f"b {question} {len(rows)}", frame, source="reviewers", detail={})


def truth(workspace: Workspace) -> dict[str, str]:
    """What people would say: all that have a thumb down are bad, and of the others those whose number ends in 3."""
    ends = pl.col("source_id").str.tail(1)
    signals = workspace.signals().select("interaction_id", bad=ends.is_in(["0", "3"]))
    return {which: "reject" if bad else "accept" for which, bad in signals.iter_rows()}


def test_a_rate_over_all_signals_is_estimated_from_candidates_that_were_chosen_for_their_failures(place):
    chosen = data.choose(place, 80)
    said = truth(place)
    label(place, {which: said[which] for which in chosen.frame["interaction_id"]})
    found = clw.estimated(place, "reject")
    strata = dict(found.frame.select("stratum", "n").iter_rows())
    assert strata == {"failure": 40, "random": 40}
    # By hand: all 40 failures are bad; of the other 360 as many as of the 40 drawn.
    bad = sum(
        said[which] == "reject"
        for which, s in chosen.frame.select("interaction_id", "stratum").iter_rows()
        if s == "random"
    )
    assert found.rate == pytest.approx((40 + 360 * bad / 40) / 400)
    assert found.low < 0.2 < found.high
    assert (found.n, found.n_frame) == (80, N)
    assert clw.estimated(place).rate == pytest.approx(1 - found.rate)
    plain = sum(said[which] == "reject" for which in chosen.frame["interaction_id"]) / 80
    assert plain > 0.5  # the share among the candidates says nothing of the signals


def test_where_a_stratum_has_no_label_the_estimate_is_refused_in_words(place):
    chosen = data.choose(place, 80).frame
    failures = chosen.filter(pl.col("stratum") == "failure")["interaction_id"]
    label(place, dict.fromkeys(failures, "reject"))
    found = clw.estimated(place)
    assert (found.rate, found.why) == (None, "nothing is known of random")
    answer = CliRunner().invoke(command, ["label", "estimate", "--workspace", str(place.folder)])
    assert answer.exit_code == 1
    assert "not enough data" in answer.stdout
    assert "at least one candidate must have an answer" in answer.stdout


def test_a_selection_that_nobody_labelled_yet_leaves_the_one_before_to_speak(place):
    first = data.choose(place, 80).frame
    label(place, dict.fromkeys(first["interaction_id"], "accept"))
    data.choose(place, 50)
    found = clw.estimated(place)
    assert (found.rate, found.n) == (1.0, 80)
    answer = CliRunner().invoke(command, ["label", "estimate", "--json", "--workspace", str(place.folder)])
    told = json.loads(answer.stdout)
    assert (answer.exit_code, told["rate"], told["n"]) == (0, 1.0, 80)
    assert {"low", "high", "n_effective", "n_frame", "strata"} <= told.keys()


def test_a_later_selection_speaks_for_what_was_left_to_draw_from(place):
    first = data.choose(place, 80).frame
    label(place, dict.fromkeys(first["interaction_id"], "accept"))
    second = data.choose(place, 50)
    label(place, dict.fromkeys(second.frame["interaction_id"], "reject"))
    found = clw.estimated(place, "reject")
    assert (found.rate, found.n_frame) == (1.0, N - 80)
    assert "80 labelled" in found.about


def test_an_answer_that_was_only_corrected_is_not_accepted_and_a_choice_is_a_rate_of_its_own(place):
    chosen = data.choose(place, 80).frame["interaction_id"]
    label(place, dict.fromkeys(chosen[:60], "accept"))
    better = [{"role": "assistant", "content": "so"}]
    rows = dict.fromkeys(chosen[60:])
    frame = pl.Series([better], dtype=MESSAGES).to_list()[0]
    label(place, rows, "improvement", improvement=frame, equals_suggestion=False)
    label(place, {which: "parcel" if k % 4 else "bill" for k, which in enumerate(chosen)}, "choice")
    assert clw.estimated(place).n == 80
    assert 0 < clw.estimated(place).rate < 1
    assert clw.estimated(place, "bill", question="choice").n == 80
    with pytest.raises(EvidenceError, match=r"nobody said 'bil' to 'choice'\. What was said: bill, parcel"):
        clw.estimated(place, "bil", question="choice")


def test_a_selection_of_an_earlier_day_keeps_all_that_it_drew_also_what_another_had_drawn(place):
    first = data.choose(place, 80).frame
    early = datetime(2026, 3, 2, 5, tzinfo=UTC)
    second = data.choose(place, 100, as_of=early, event_time=True).frame
    assert first.join(second, on="candidate_id", how="semi").is_empty()
    assert first.join(second, on="interaction_id", how="semi").height > 20
    assert data.choose(place, 100, as_of=early, event_time=True).frame["candidate_id"].equals(second["candidate_id"])
    kept = place.read("candidates")
    assert sorted(kept["batch_id"].value_counts()["count"]) == [80, 100]
    assert kept["candidate_id"].is_unique().all()
    said = truth(place)
    label(place, {which: said[which] for which in second["interaction_id"]})
    found = clw.estimated(place, "reject")
    drawn = kept.filter(pl.col("seq") == kept["seq"].max())
    by_hand = sum(
        1 / chance
        for which, chance in drawn.select("interaction_id", "inclusion_probability").iter_rows()
        if said[which] == "reject"
    )
    assert (found.n, found.n_frame) == (100, 301)
    assert found.rate == pytest.approx(by_hand / 301)


def test_an_answer_that_was_taken_back_lets_its_signal_be_drawn_and_kept_again(place):
    first = data.choose(place, N).frame["interaction_id"]
    label(place, dict.fromkeys(first, "accept"))
    label(place, dict.fromkeys(first[:7], ""), status="withdrawn", at=datetime(2026, 4, 2, tzinfo=UTC))
    again = data.choose(place, 50).frame
    assert again.height > 0
    kept = place.read("candidates")
    assert kept.filter(pl.col("seq") == kept["seq"].max()).height == again.height


def test_the_selection_that_is_labelled_in_full_speaks_and_another_where_it_is_named(place):
    first = data.choose(place, 60).frame["interaction_id"]
    data.choose(place, 100, as_of=datetime(2026, 3, 2, 5, tzinfo=UTC), event_time=True)
    label(place, {which: truth(place)[which] for which in first})
    batches = {b.detail["signals"]: b.batch_id for b in place.catalog.batches(kind="select")}
    found = clw.estimated(place, "reject")
    assert (found.n, found.n_frame) == (60, N)
    assert f"Selection {batches[N]} (60 of 60 candidates have an answer)" in found.about
    assert "the largest share" in found.about
    other = clw.estimated(place, "reject", selection=batches[301])
    assert (0 < other.n < 60, other.n_frame) == (True, 301)
    words = ["label", "estimate", "--value", "reject", "--workspace", str(place.folder), "--selection"]
    answer = CliRunner().invoke(command, [*words, batches[301]])
    assert (answer.exit_code, f"Selection {batches[301]} (" in answer.stdout) == (0, True)
    for unknown in ("xx", ""):
        with pytest.raises(EvidenceError, match=rf"no selection '{unknown}'.*{batches[301]} \("):
            clw.estimated(place, "reject", selection=unknown)


def test_a_question_that_nobody_can_answer_is_refused_with_those_there_are(place):
    data.choose(place, 80)
    with pytest.raises(EvidenceError, match=r"no question 'xx'\. There are answer, choice, improvement"):
        clw.estimated(place, question="xx")
    label(place, dict.fromkeys(data.choose(place, 80).frame["interaction_id"], "bill"), "choice")
    with pytest.raises(EvidenceError, match="nobody said 'accept' to 'choice'"):
        clw.estimated(place, question="choice")


def test_without_a_selection_the_way_to_one_is_told(place):
    with pytest.raises(EvidenceError, match="`clw select` draws candidates"):
        clw.estimated(place)


def test_a_sample_by_policy_is_weighed_back(place):
    toml = place.folder / "clw.toml"
    toml.write_text(toml.read_text() + '[policy.sample]\nby = "app"\nrates = { desk = 0.2 }\n')
    chosen = data.choose(place, 1_000)
    assert chosen.n_frame < 0.7 * N
    apps = dict(place.signals().select("interaction_id", "app").iter_rows())
    label(place, {which: "reject" if apps[which] == "desk" else "accept" for which in chosen.frame["interaction_id"]})
    found = clw.estimated(place, "reject")
    # Half of the signals are of the desk; of the candidates a sixth. The sample drawn has 40 of 200, give or take.
    kept = sum(apps[which] == "desk" for which in chosen.frame["interaction_id"])
    assert found.rate == pytest.approx(kept * 5 / (kept * 5 + 200), abs=0.02)
    assert found.rate > 0.35
