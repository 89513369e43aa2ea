"""Pull against the real Argilla: what people said comes back as labels, nothing twice, nothing lost."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import polars as pl
import pytest

from clworkbench.errors import LabelError
from clworkbench.loop import data
from clworkbench.loop.labels.answers import pull, pull_records
from clworkbench.loop.labels.pulled import Pulled
from clworkbench.workspace import Workspace
from clworkbench.workspace.tombstones import Tombstone, bury
from tests.loop.annotators import REQUIRED, SAID, Breaking, Desk, good, opened, values

pytestmark = pytest.mark.argilla


@pytest.fixture
def desk(tmp_path, argilla_server) -> Iterator[Desk]:
    with opened(tmp_path, argilla_server) as made:
        yield made


def counts(found: Pulled) -> tuple[int, ...]:
    return (found.new, found.changed, found.withdrawn, found.drafts, found.discarded, found.gone)


def test_every_kind_of_answer_comes_back_with_who_when_and_what_it_is_about(desk):
    own = desk.ids[0]
    desk.push([own])
    desk.answer(desk.annotator(f"ann-{desk.name}"), own, SAID)

    found = pull(desk.workspace)

    assert counts(found) == (8, 0, 0, 0, 0, 0)
    assert found.left_out == {}
    said = desk.latest()
    one, other, better = desk.options(own)
    assert {name: said[own, name]["value"] for name in SAID} == {
        "answer": "accept",
        "rating": "4",
        "preference": other,
        "ranking": json.dumps([[other], [one, better]]),
        "improvement": None,
        "choice": '["cancel", "refund"]',
        "spans": '[{"start": 0, "end": 3, "label": "wrong"}, {"start": 4, "end": 8, "label": "rude"}]',
        "comment": said[own, "comment"]["value"],
    }
    assert said[own, "comment"]["value"].startswith("call [EMAIL_")
    assert [m["content"] for m in said[own, "improvement"]["improvement"]] == [SAID["improvement"]]
    assert said[own, "improvement"]["improvement"][0]["role"] == "assistant"
    rows = pl.DataFrame(list(said.values()))
    assert set(rows["annotator_key"]) == {desk.workspace.pseudonyms.user(f"ann-{desk.name}")}
    assert set(rows["source"]) == {f"argilla/{desk.name}"}
    assert set(rows["candidate_id"]) == {f"c-{own[:4]}"}
    assert set(rows["status"]) == {"submitted"}
    assert all(abs((datetime.now(UTC) - at).total_seconds()) < 60 for at in rows["at"])
    equal = {name: said[own, name]["equals_suggestion"] for name in SAID}
    assert equal == dict.fromkeys(SAID, None) | {"improvement": False, "choice": False}


def test_the_same_pull_again_adds_nothing_and_each_new_submitted_label_is_paid_once(desk):
    desk.push(desk.ids[:2])
    ann = desk.annotator(f"ann-{desk.name}")
    desk.answer(ann, desk.ids[0], REQUIRED)
    desk.answer(ann, desk.ids[1], {"answer": "reject"}, "draft")

    first = pull(desk.workspace)
    again = [pull(desk.workspace), pull(desk.workspace, whole=True), pull(desk.workspace, desk.name)]

    assert counts(first) == (5, 0, 0, 1, 0, 0)
    assert [counts(each) for each in again] == [(0,) * 6] * 3
    assert desk.workspace.counts()["labels"] == 6
    assert desk.workspace.catalog.ledger().filter(pl.col("verb") == "label")["cost_usd"].to_list() == [2.5]


def test_a_changed_answer_is_a_new_label_and_one_saved_again_unchanged_is_none(desk):
    own = desk.ids[0]
    desk.push([own])
    ann = desk.annotator(f"ann-{desk.name}")
    response = desk.answer(ann, own, REQUIRED)
    pull(desk.workspace)

    good(ann.post("/me/responses/bulk", json={"items": [upsert(desk, own, REQUIRED)]}))
    unchanged = pull(desk.workspace)
    good(ann.put(f"/responses/{response}", json={"values": values(REQUIRED | {"rating": 1}), "status": "submitted"}))
    changed = pull(desk.workspace)
    good(ann.put(f"/responses/{response}", json={"values": values(REQUIRED), "status": "submitted"}))
    back = pull(desk.workspace)

    assert [counts(each) for each in (unchanged, changed, back)] == [(0,) * 6, (0, 1, 0, 0, 0, 0), (0, 1, 0, 0, 0, 0)]
    assert desk.latest()[own, "rating"]["value"] == "4"
    assert desk.workspace.read("labels").sort("seq").filter(pl.col("question") == "rating")["value"].to_list() == [
        "4",
        "1",
        "4",
    ]


def upsert(desk: Desk, own: str, said: dict[str, object] | None, status: str = "submitted") -> dict[str, object]:
    return {"record_id": desk.record(own), "values": values(said), "status": status}


@pytest.mark.parametrize(
    ("then", "status", "expected"),
    [
        ({"values": values({"answer": "accept"}), "status": "draft"}, "draft", (0, 0, 5, 1, 0, 0)),
        ({"values": None, "status": "discarded"}, "discarded", (0, 0, 5, 0, 5, 0)),
        (None, "withdrawn", (0, 0, 5, 0, 0, 0)),
    ],
    ids=["draft again", "discarded", "deleted"],
)
def test_an_answer_that_is_taken_back_withdraws_its_label_everywhere(desk, then, status, expected):
    own = desk.ids[0]
    desk.push([own])
    ann = desk.annotator(f"ann-{desk.name}")
    response = desk.answer(ann, own, REQUIRED)
    pull(desk.workspace)

    good(ann.put(f"/responses/{response}", json=then) if then else ann.delete(f"/responses/{response}"))
    found = pull(desk.workspace)
    again = pull(desk.workspace, whole=True)

    assert counts(found) == expected
    assert counts(again) == (0,) * 6
    assert desk.latest()[own, "answer"]["status"] == status
    assert desk.workspace.labels().filter(pl.col("status") == "submitted").is_empty()
    open_again = own in data.choose(desk.workspace, 6).frame["interaction_id"]
    assert open_again is (status != "discarded")


@pytest.mark.slow
def test_an_answer_given_back_and_given_again_counts_again(desk):
    own = desk.ids[0]
    desk.push([own])
    ann = desk.annotator(f"ann-{desk.name}")
    good(ann.delete(f"/responses/{desk.answer(ann, own, REQUIRED)}"))
    desk.answer(ann, own, REQUIRED)
    pull(desk.workspace)
    good(ann.delete(f"/responses/{desk.response(own)['id']}"))
    gone = pull(desk.workspace)
    desk.answer(ann, own, REQUIRED)
    back = pull(desk.workspace)

    assert (gone.withdrawn, back.new) == (5, 5)
    assert desk.latest()[own, "answer"]["status"] == "submitted"


def test_a_record_an_account_and_a_data_set_that_are_deleted_withdraw_nothing_and_are_told(desk):
    desk.push(desk.ids[:3])
    ann, bob = desk.annotator(f"ann-{desk.name}"), desk.annotator(f"bob-{desk.name}")
    for own in desk.ids[:2]:
        desk.answer(ann, own, REQUIRED)
    desk.answer(bob, desk.ids[2], REQUIRED)
    pull(desk.workspace)

    good(desk.owner.delete(f"/datasets/{desk.dataset.id}/records", params={"ids": desk.record(desk.ids[0])}))
    record_gone = pull(desk.workspace)
    good(desk.owner.delete(f"/users/{desk.users[f'bob-{desk.name}']}"))
    account_gone = pull(desk.workspace)
    good(desk.owner.delete(f"/datasets/{desk.dataset.id}"))
    all_gone = pull(desk.workspace)

    assert [counts(each) for each in (record_gone, account_gone, all_gone)] == [
        (0, 0, 0, 0, 0, 5),
        (0, 0, 0, 0, 0, 10),
        (0, 0, 0, 0, 0, 15),
    ]
    assert desk.workspace.labels().filter(pl.col("status") == "submitted").height == 15
    assert "5 labels stay whose record or annotator is gone from Argilla" in record_gone.lines()
    assert any("it was deleted, and its 15 labels stay" in note for note in all_gone.notes)


@pytest.mark.slow
def test_a_record_that_was_deleted_and_pushed_again_keeps_its_old_label(desk):
    own = desk.ids[0]
    desk.push([own])
    desk.answer(desk.annotator(f"ann-{desk.name}"), own, REQUIRED)
    pull(desk.workspace)
    good(desk.owner.delete(f"/datasets/{desk.dataset.id}/records", params={"ids": desk.record(own)}))
    desk.push([own], noted=False)

    found = pull(desk.workspace, whole=True)

    assert found.withdrawn == 0
    assert desk.latest()[own, "answer"]["status"] == "submitted"


@pytest.mark.slow
def test_an_annotator_who_is_renamed_stays_the_same_one(desk):
    own = desk.ids[0]
    desk.push([own])
    ann = desk.annotator(f"ann-{desk.name}")
    response = desk.answer(ann, own, REQUIRED)
    pull(desk.workspace)
    good(desk.owner.patch(f"/users/{desk.users[f'ann-{desk.name}']}", json={"username": f"anna-{desk.name}"}))
    good(ann.put(f"/responses/{response}", json={"values": values(REQUIRED | {"rating": 2}), "status": "submitted"}))

    found = pull(desk.workspace)

    assert counts(found) == (0, 1, 0, 0, 0, 0)
    assert set(desk.workspace.labels()["annotator_key"]) == {desk.workspace.pseudonyms.user(f"ann-{desk.name}")}


@pytest.mark.slow
def test_answers_written_by_an_owner_in_bulk_are_seen_though_argilla_notes_no_activity(desk):
    own = desk.ids[0]
    desk.push([own])
    desk.annotator(f"ann-{desk.name}")
    pull(desk.workspace)
    response = {"user_id": desk.users[f"ann-{desk.name}"], "values": values(REQUIRED), "status": "submitted"}
    body = {"items": [{"external_id": own, "responses": [response]}]}
    good(desk.owner.put(f"/datasets/{desk.dataset.id}/records/bulk", json=body))

    assert pull(desk.workspace).new == 5


@pytest.mark.slow
def test_a_record_whose_push_was_killed_before_it_was_noted_is_read_and_its_options_once_they_are_noted(desk):
    own = desk.ids[0]
    data.choose(desk.workspace, 6)
    desk.push([own], noted=False)
    desk.answer(desk.annotator(f"ann-{desk.name}"), own, REQUIRED)

    found = pull(desk.workspace)
    desk.note([own])
    later = pull(desk.workspace)

    why = "what its options stand for is not noted yet: run `clw label push` again"
    assert (found.new, later.new) == (3, 2)
    assert found.left_out == {f"preference: {why}": 1, f"ranking: {why}": 1}
    chosen = desk.workspace.read("candidates").filter(pl.col("interaction_id") == own)["candidate_id"].item()
    assert desk.workspace.labels().filter(pl.col("question") == "answer")["candidate_id"].item() == chosen


@pytest.mark.slow
def test_answers_to_what_an_interrupted_push_began_know_what_their_options_stand_for(desk):
    own = desk.ids[0]
    desk.note([own], "pushing")
    desk.push([own], noted=False)
    desk.answer(desk.annotator(f"ann-{desk.name}"), own, REQUIRED)

    assert (pull(desk.workspace).new, desk.latest()[own, "preference"]["value"]) == (5, desk.options(own)[1])


@pytest.mark.slow
def test_answers_about_what_was_forgotten_or_never_there_do_not_come_in(desk):
    own, stranger = desk.ids[0], "f" * 32
    desk.push([own])
    desk.push([stranger], noted=False)
    ann = desk.annotator(f"ann-{desk.name}")
    desk.answer(ann, own, REQUIRED)
    desk.answer(ann, stranger, REQUIRED)
    with desk.workspace.catalog.transaction() as db:
        bury(db, 1, [Tombstone("interaction", own)])

    found = pull(desk.workspace)

    assert desk.workspace.counts()["labels"] == 0
    assert found.left_out["about what was forgotten"] == 5
    assert found.left_out["about no interaction of this workspace"] == 3


@pytest.mark.slow
def test_a_simulation_dates_its_labels_and_the_same_pull_at_another_date_adds_nothing(desk):
    own, march = desk.ids[0], datetime(2026, 3, 20, tzinfo=UTC)
    desk.push([own])
    ann = desk.annotator(f"ann-{desk.name}")
    response = desk.answer(ann, own, REQUIRED)

    first = pull(desk.workspace, at=march)
    again = pull(desk.workspace, at=march.replace(day=25), whole=True)
    good(ann.delete(f"/responses/{response}"))
    gone = pull(desk.workspace, at=march.replace(day=26))

    assert (first.new, again.is_news, gone.withdrawn) == (5, False, 5)
    assert desk.workspace.labels(as_of=march, event_time=True).height == 5
    later = desk.workspace.labels(as_of=march.replace(day=27), event_time=True)
    assert set(later["status"]) == {"withdrawn"}


@pytest.mark.slow
def test_a_set_nobody_pushed_says_so_and_a_set_nobody_declared_is_refused(desk):
    good(desk.owner.delete(f"/datasets/{desk.dataset.id}"))

    assert any("nothing was asked yet; `clw label push` does" in note for note in pull(desk.workspace).notes)
    with pytest.raises(LabelError, match=f"no question set 'review'. There: {desk.name}."):
        pull(desk.workspace, "review")


@pytest.mark.slow
def test_a_server_that_goes_away_is_told_in_words_and_what_was_read_stays(desk, monkeypatch):
    desk.push(desk.ids[:4])
    ann = desk.annotator(f"ann-{desk.name}")
    for own in desk.ids[:4]:
        desk.answer(ann, own, REQUIRED)
    with Breaking(desk.place.url, after=1) as broken:  # a page of two records, then nothing answers
        monkeypatch.setattr("clworkbench.labels.answered.PAGE", 2)
        monkeypatch.setattr("clworkbench.labels.rest.FIRST_WAIT_S", 0.0)
        monkeypatch.setenv("ARGILLA_API_URL", broken.url)
        with pytest.raises(LabelError, match="run the same command again"):
            pull(desk.workspace)
    half = desk.workspace.counts()["labels"]
    monkeypatch.setenv("ARGILLA_API_URL", desk.place.url)

    rest = pull(desk.workspace)

    assert half == 10
    assert rest.new == 10
    assert desk.workspace.counts()["labels"] == 20
    assert desk.workspace.read("labels")["label_id"].is_unique().all()


@pytest.mark.slow
def test_records_that_were_touched_are_pulled_alone(desk):
    desk.push(desk.ids[:3])
    ann = desk.annotator(f"ann-{desk.name}")
    responses = [desk.answer(ann, own, REQUIRED) for own in desk.ids[:3]]
    pull(desk.workspace)
    good(ann.delete(f"/responses/{responses[0]}"))
    good(ann.delete(f"/responses/{responses[1]}"))

    found = pull_records(desk.workspace, {desk.name: {desk.record(desk.ids[0])}, "other": {"x"}})

    assert counts(found) == (0, 0, 5, 0, 0, 0)
    assert pull(desk.workspace).withdrawn == 5


def admin(desk: Desk) -> str:
    return desk.annotator(f"boss-{desk.name}", "admin").headers["X-Argilla-Api-Key"]


def test_whoever_pulls_an_annotator_keeps_one_key_and_nothing_is_withdrawn(desk, monkeypatch):
    desk.push(desk.ids)
    ann, bob, boss = desk.annotator(f"ann-{desk.name}"), desk.annotator(f"bob-{desk.name}"), admin(desk)
    monkeypatch.setenv("ARGILLA_API_KEY", boss)
    desk.answer(ann, desk.ids[0], REQUIRED)
    desk.answer(desk.owner, desk.ids[0], REQUIRED)  # who is in no team, so that an admin cannot learn the name
    by_admin = pull(desk.workspace)
    monkeypatch.setenv("ARGILLA_API_KEY", desk.place.api_key)
    desk.answer(bob, desk.ids[1], REQUIRED)
    desk.answer(desk.owner, desk.ids[2], REQUIRED)
    by_owner = pull(desk.workspace)
    monkeypatch.setenv("ARGILLA_API_KEY", boss)
    for own, who in zip(desk.ids[3:], (ann, bob, desk.owner), strict=True):
        desk.answer(who, own, REQUIRED)
    by_admin_again = pull(desk.workspace, whole=True)

    assert [counts(each)[:3] for each in (by_admin, by_owner, by_admin_again)] == [(10, 0, 0), (10, 0, 0), (15, 0, 0)]
    said = desk.workspace.labels().filter(pl.col("status") == "submitted")
    n = dict(said.group_by("annotator_key").agg(pl.len()).iter_rows())
    assert [n.pop(desk.workspace.pseudonyms.user(f"{name}-{desk.name}")) for name in ("ann", "bob")] == [10, 10]
    assert list(n.values()) == [15]


def test_with_an_admins_key_an_account_that_is_deleted_withdraws_nothing_and_an_answer_taken_back_does(
    desk, monkeypatch
):
    desk.push(desk.ids[:3])
    ann, bob = desk.annotator(f"ann-{desk.name}"), desk.annotator(f"bob-{desk.name}")
    monkeypatch.setenv("ARGILLA_API_KEY", admin(desk))
    taken_back = desk.answer(ann, desk.ids[0], REQUIRED)
    desk.answer(ann, desk.ids[1], REQUIRED)
    desk.answer(bob, desk.ids[2], REQUIRED)
    pull(desk.workspace)
    good(desk.owner.delete(f"/users/{desk.users[f'bob-{desk.name}']}"))
    good(ann.delete(f"/responses/{taken_back}"))

    found = pull(desk.workspace)

    assert counts(found) == (0, 0, 5, 0, 0, 5)
    assert pull(desk.workspace, whole=True).withdrawn == 0
    assert set(desk.workspace.labels().filter(pl.col("status") == "submitted")["interaction_id"]) == {*desk.ids[1:3]}


@pytest.mark.slow
def test_what_a_search_does_not_find_yet_is_read_the_next_time(desk, monkeypatch):
    desk.push(desk.ids[:1])
    desk.answer(desk.annotator(f"ann-{desk.name}"), desk.ids[0], REQUIRED)
    with Breaking(desk.place.url, after=0, blind=True) as late:
        monkeypatch.setenv("ARGILLA_API_URL", late.url)
        before = pull(desk.workspace)
    monkeypatch.setenv("ARGILLA_API_URL", desk.place.url)

    assert (before.new, pull(desk.workspace).new) == (0, 5)


@pytest.mark.slow
def test_an_answer_that_is_taken_back_is_withdrawn_also_where_our_clock_was_slow(desk):
    desk.push(desk.ids[:1])
    ann = desk.annotator(f"ann-{desk.name}")
    response = desk.answer(ann, desk.ids[0], REQUIRED)
    pull(desk.workspace)
    with desk.workspace.catalog.transaction() as db:
        db.execute("update batches set committed_at = committed_at - 3600000000 where kind = 'labels'")
    good(ann.delete(f"/responses/{response}"))

    assert pull(desk.workspace).withdrawn == 5


@pytest.mark.slow
def test_a_second_pull_in_the_middle_of_a_first_waits_for_nobody_and_nothing_comes_twice(desk, monkeypatch):
    desk.push(desk.ids[:4])
    ann = desk.annotator(f"ann-{desk.name}")
    for own in desk.ids[:4]:
        desk.answer(ann, own, REQUIRED)
    monkeypatch.setattr("clworkbench.labels.answered.PAGE", 2)
    inner: list[Pulled] = []

    def meanwhile(n: int, total: int, name: str) -> None:
        if not inner:
            inner.append(pull(Workspace(desk.workspace.folder)))

    outer = pull(desk.workspace, advance=meanwhile)

    assert (outer.new, inner[0].new) == (10, 10)
    assert desk.workspace.counts()["labels"] == 20
    assert desk.workspace.catalog.spent()["cost_usd"] == 10.0
