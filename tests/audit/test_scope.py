"""What goes with a person's rows: the rest of their traces, what came later in their talks, and what was said of it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from clworkbench.audit.asked import asked
from clworkbench.audit.scope import cutoff, scope
from clworkbench.errors import ExpressionError, ForgetError
from clworkbench.schemas import FEEDBACK, INTERACTIONS, LABELS
from clworkbench.workspace import Workspace

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("CLW_KEY", "6b" * 32)
    return Workspace.create(tmp_path / "w")


def fill(workspace: Workspace, *given: dict[str, object], **more: list[dict[str, object]]) -> None:
    """Interactions known by `id`, whose `user` is a raw name and whose `at` is in hours; and other tables' rows."""
    rows = []
    for row in given:
        own = {"interaction_id": row["id"], "source_id": row["id"], "source": "app", "raw_sha256": "x"}
        names = {"trace": "trace_id", "talk": "conversation_id", "parent": "parent_id", "source": "source"}
        own |= {column: row[name] for name, column in names.items() if name in row}
        own["user_key"] = workspace.pseudonyms.user(str(row["user"])) if "user" in row else None
        own["started_at"] = NOON + timedelta(hours=float(str(row["at"]))) if "at" in row else None
        rows.append(own | {name: row[name] for name in ("attributes",) if name in row})
    frames = {"interactions": pl.DataFrame(rows, schema=INTERACTIONS).drop("batch_id")}
    for table, schema in (("feedback", FEEDBACK), ("labels", LABELS)):
        found = [{"source": "app", "raw_sha256": "x"} | row for row in more.get(table, [])]
        frames[table] = pl.DataFrame(found, schema=schema, strict=True).drop("batch_id")
    workspace.write_batch("b", "ingest", frames)


def ids(workspace: Workspace, **options: object) -> set[str]:
    found = scope(workspace, asked(NOON, **options))
    return set(found.interactions["interaction_id"])


def test_the_rest_of_a_trace_goes_where_nobody_else_is_in_it(workspace):
    fill(
        workspace,
        {"id": "root", "trace": "t"},
        {"id": "answer", "trace": "t", "parent": "root", "user": "ann"},
        {"id": "tool", "trace": "t", "parent": "root"},
        {"id": "other trace", "trace": "u"},
        {"id": "same name elsewhere", "trace": "t", "source": "another"},
    )
    assert ids(workspace, users=("ann",)) == {"root", "answer", "tool"}


def test_in_a_trace_of_several_only_what_stands_below_and_without_a_key_above_goes(workspace):
    fill(
        workspace,
        {"id": "job", "trace": "t"},
        {"id": "anns", "trace": "t", "parent": "job", "user": "ann"},
        {"id": "anns tool", "trace": "t", "parent": "anns"},
        {"id": "bobs", "trace": "t", "parent": "job", "user": "bob"},
        {"id": "bobs tool", "trace": "t", "parent": "bobs"},
    )
    assert ids(workspace, users=("ann",)) == {"job", "anns", "anns tool"}


def test_of_a_conversation_goes_what_repeats_it_and_what_bears_no_key(workspace):
    fill(
        workspace,
        {"id": "before sign-in", "talk": "c", "at": 0},
        {"id": "bob first", "talk": "c", "at": 1, "user": "bob"},
        {"id": "ann", "talk": "c", "at": 2, "user": "ann"},
        {"id": "bob answers", "talk": "c", "at": 3, "user": "bob"},
        {"id": "bob undated", "talk": "c", "user": "bob"},
        {"id": "elsewhere", "talk": "c", "at": 3, "source": "another"},
    )
    assert ids(workspace, users=("ann",)) == {"before sign-in", "ann", "bob answers", "bob undated"}
    assert ids(workspace, interactions=("ann",)) == {"ann", "bob answers", "bob undated"}
    assert ids(workspace, where="interaction_id = 'ann'") == {"ann"}


def test_what_goes_on_from_it_by_its_parent_goes_however_deep(workspace):
    chain = [{"id": f"turn {n}", "parent": f"turn {n - 1}", "at": n} for n in range(1, 6)]
    fill(workspace, {"id": "turn 0", "at": 0, "user": "ann"}, *chain, {"id": "alone", "at": 0})
    assert ids(workspace, users=("ann",)) == {f"turn {n}" for n in range(6)}


def test_a_users_key_among_attributes_counts_and_a_key_may_be_given_in_the_names_place(workspace):
    key = workspace.pseudonyms.user("ann")
    fill(
        workspace,
        {"id": "named inside", "attributes": f'{{"enduser.id":"{key}"}}'},
        {"id": "column", "user": "ann"},
        {"id": "neither"},
    )
    assert ids(workspace, users=("ann",)) == {"named inside", "column"}
    assert ids(workspace, users=(key,)) == {"named inside", "column"}


def test_another_persons_own_name_is_never_written_down_as_a_key(workspace):
    raw = "0123456789abcdef" * 2  # a raw id that looks like a key
    fill(workspace, {"id": "a", "user": raw})
    found = scope(workspace, asked(NOON, users=(raw,)))
    assert found.users.to_list() == [workspace.pseudonyms.user(raw)]
    assert found.interactions.height == 1


def feedback(own: str, target: str, kind: str = "interaction", **more: object) -> dict[str, object]:
    return {"feedback_id": own, "target_id": target, "target_kind": kind, **more}


def test_feedback_on_what_goes_and_from_the_user_goes(workspace):
    key = workspace.pseudonyms.user("ann")
    fill(
        workspace,
        {"id": "anns", "user": "ann"},
        {"id": "bobs", "user": "bob"},
        feedback=[
            feedback("on hers", "anns"),
            feedback("by her", "bobs", actor_key=key),
            feedback("names her", "bobs", value=f'{{"user":"{key}"}}'),
            feedback("bobs own", "bobs", actor_key=workspace.pseudonyms.user("bob")),
        ],
    )
    assert set(scope(workspace, asked(NOON, users=("ann",))).feedback) == {"on hers", "by her", "names her"}


def test_feedback_on_a_conversation_goes_when_nothing_of_it_is_left_or_when_it_came_after(workspace):
    fill(
        workspace,
        {"id": "ann alone", "talk": "hers", "at": 0, "user": "ann"},
        {"id": "bob first", "talk": "both", "at": 0, "user": "bob"},
        {"id": "then ann", "talk": "both", "at": 2, "user": "ann"},
        {"id": "bobs", "talk": "his", "at": 0, "user": "bob"},
        feedback=[
            feedback("all of it", "hers", "conversation", at=NOON - timedelta(hours=1)),
            feedback("before her", "both", "conversation", at=NOON + timedelta(hours=1)),
            feedback("after her", "both", "conversation", at=NOON + timedelta(hours=3)),
            feedback("his", "his", "any", at=NOON),
        ],
    )
    assert set(scope(workspace, asked(NOON, users=("ann",))).feedback) == {"all of it", "after her"}
    assert set(scope(workspace, asked(NOON, where="interaction_id = 'then ann'")).feedback) == set()


def test_feedback_that_names_another_sources_conversation_of_the_same_name_stays(workspace):
    fill(
        workspace,
        {"id": "anns", "talk": "1", "user": "ann"},
        {"id": "theirs", "talk": "1", "source": "other"},
        feedback=[
            feedback("on theirs", "1", "conversation", source="other"),
            feedback("on hers", "1", "conversation"),
            feedback("from a feed", "1", "conversation", source="feed"),
        ],
    )
    assert set(scope(workspace, asked(NOON, users=("ann",))).feedback) == {"on hers", "from a feed"}


def test_labels_on_what_goes_and_by_the_user_go(workspace):
    key = workspace.pseudonyms.user("ann")
    label = {"question": "answer", "value": "yes", "status": "submitted"}
    fill(
        workspace,
        {"id": "anns", "user": "ann"},
        {"id": "bobs", "user": "bob"},
        labels=[
            label | {"label_id": "on hers", "interaction_id": "anns"},
            label | {"label_id": "by her", "interaction_id": "bobs", "annotator_key": key},
            label | {"label_id": "his", "interaction_id": "bobs"},
        ],
    )
    assert set(scope(workspace, asked(NOON, users=("ann",))).labels) == {"on hers", "by her"}


def test_what_is_too_old_goes_by_its_own_date_and_undated_rows_by_when_they_came(workspace):
    fill(
        workspace,
        {"id": "old", "talk": "c", "at": 0},
        {"id": "young", "talk": "c", "at": 48},
        {"id": "undated"},
        feedback=[feedback("old", "young", at=NOON), feedback("young", "young", at=NOON + timedelta(days=3))],
    )
    found = scope(workspace, asked(NOON + timedelta(days=9), before=NOON + timedelta(days=1)))
    assert (set(found.interactions["interaction_id"]), set(found.feedback)) == ({"old"}, {"old"})
    found = scope(workspace, asked(datetime(2999, 1, 1, tzinfo=UTC), before=datetime(2998, 1, 1, tzinfo=UTC)))
    assert set(found.interactions["interaction_id"]) == {"old", "young", "undated"}


def test_an_id_that_two_sources_have_and_an_expression_that_says_nothing_are_refused_in_words(workspace):
    fill(workspace, {"id": "a" * 32}, {"id": "b" * 32, "source": "other"})
    with workspace.catalog.transaction() as db:
        db.execute("delete from batches")
    rows = workspace.tables
    rows.append("interactions", pl.DataFrame([{"interaction_id": c * 32, "source_id": "7", "source": s} for c, s in
                                              (("c", "app"), ("d", "other"))], schema=INTERACTIONS))  # fmt: skip
    with pytest.raises(ForgetError, match=r"7: 2 sources have a record of that id. Name the interaction: c+, d+, …"):
        ids(workspace, interactions=("7",))
    with pytest.raises(ExpressionError, match=r"--where: .*no column 'nothing'"):
        ids(workspace, where="nothing = 1")
    with pytest.raises(ExpressionError, match=r"--where: .*not true or false"):
        ids(workspace, where="latency_ms + 1")


def test_a_retention_that_nobody_declared_is_refused_in_words(workspace):
    with pytest.raises(ForgetError, match=r"\[policy\] names no retention. Say how long data is kept"):
        cutoff(NOON, workspace)
    toml = workspace.folder / "clw.toml"
    toml.write_text("format = 1\n[policy]\nretention = '30d'\n")
    assert cutoff(NOON, workspace) == NOON - timedelta(days=30)
