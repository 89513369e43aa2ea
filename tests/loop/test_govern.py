"""Governing in one call, as a notebook does it: measured, planned, forgotten, audited."""

import json

import pytest

import clworkbench as clw
from clworkbench.errors import ForgetError
from clworkbench.workspace import Workspace


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Workspace:
    """Three records of Ann, three of Bob, and one that cannot be read."""
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    made = Workspace.create(tmp_path / "w")
    lines = [
        json.dumps(
            {
                "id": f"c{n}",
                "user": "Ann@Mail.example" if n % 2 else "bob",
                "messages": [{"role": "user", "content": f"hi {n}"}, {"role": "assistant", "content": "yes"}],
            }
        )
        for n in range(6)
    ]
    (tmp_path / "chats.jsonl").write_text("\n".join([*lines, "{broken"]) + "\n")
    clw.ingest(made, tmp_path / "chats.jsonl", "openai")
    return made


def test_a_user_is_planned_forgotten_and_audited_beside_a_record_that_could_not_be_read(workspace):
    assert workspace.counts()["quarantine"] == 1
    planned = clw.plan_forget(workspace, user=" ann@mail.example ")
    assert repr(planned) == "Plan(forgets 3 of 6 interactions)"
    assert "3 of 6" in planned._repr_html_()
    done = clw.forget(workspace, user="ann@mail.example")
    assert workspace.counts()["interactions"] == 3
    assert clw.audited(workspace, done.certificate).ok
    assert clw.forget(workspace, user="ann@mail.example") is None
    assert "no row matches" in clw.plan_forget(workspace, user="ann@mail.example")._repr_html_()


def test_one_thing_is_named_at_a_time(workspace):
    with pytest.raises(ForgetError, match="nothing was named"):
        clw.plan_forget(workspace)


def test_redaction_is_measured_on_the_workspaces_own_texts(workspace):
    measured = clw.measure_redaction(workspace, 60)
    assert measured.frame["planted"].sum() >= 60
    assert set(measured.frame["kind"]) >= {"EMAIL", "CARD", "PHONE"}
