"""Lineage of what people said: from a label down to its candidate and signal, and from a signal to what was said."""

import json

import polars as pl
import pytest

from clworkbench.errors import ArtefactError
from clworkbench.lineage import trace
from clworkbench.loop import data
from clworkbench.loop.signals import capture
from clworkbench.schemas import ASKED, LABELS
from clworkbench.workspace import Workspace


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Workspace:
    """Two signals, one of them chosen, asked about and answered twice."""
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    made = Workspace.create(tmp_path / "w", settings="format = 1\n[training]\nholdout = 0.0\n")
    lines = [
        {
            "id": f"r{i}",
            "messages": [{"role": "user", "content": f"q{i}"}, {"role": "assistant", "content": "a"}],
        }
        for i in range(2)
    ]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    capture.ingest(made, [tmp_path / "log.jsonl"], "openai")
    chosen = data.choose(made, 1).frame.row(0, named=True)
    own = {"interaction_id": chosen["interaction_id"], "candidate_id": chosen["candidate_id"]}
    asked = [{"ask_id": "a1", "dataset": "review", "options": [], "gold": False, "state": "asked", **own}]
    label = {"question": "answer", "interaction_id": chosen["interaction_id"]}
    labels = [
        {"label_id": "l1", "value": "a secret", "status": "draft", "source": "argilla/review", **label, **own},
        {"label_id": "l2", "value": "accept", "status": "submitted", "source": "gold", **label},
    ]
    made.write_batch("ask", "ask", {"asked": pl.DataFrame(asked, schema=ASKED).drop("batch_id")})
    made.write_batch("said", "labels", {"labels": pl.DataFrame(labels, schema=LABELS).drop("batch_id")})
    return made


def nodes(side: pl.DataFrame) -> list[tuple[str, int]]:
    return [(kind, depth) for kind, depth in side.select("kind", "depth").iter_rows()]


def test_a_label_leads_to_its_candidate_and_its_signal_and_the_record_behind(workspace):
    candidate = workspace.read("candidates").row(0, named=True)

    found = trace(workspace, "l1")

    assert (found.id, found.kind) == ("label:l1", "label")
    assert nodes(found.down) == [("candidate", 1), ("signal", 2), ("record", 3), ("file", 4)]
    ids = [f"candidate:{candidate['candidate_id']}", f"signal:{candidate['interaction_id']}"]
    assert found.down["id"].to_list()[:2] == ids
    assert found.down["detail"].to_list()[0] == ", ".join(candidate["reasons"])
    assert trace(workspace, "label:l1").down.equals(found.down)


def test_a_label_without_a_candidate_leads_to_its_signal(workspace):
    assert nodes(trace(workspace, "l2").down) == [("signal", 1), ("record", 2), ("file", 3)]


def test_a_signal_leads_to_what_was_asked_and_answered_and_never_to_the_words(workspace):
    found = trace(workspace, workspace.read("asked")["interaction_id"].item())

    assert sorted(found.up.select("id", "detail").rows()) == [
        ("ask:a1", "asked in review"),
        ("label:l1", "answer draft in argilla/review"),
        ("label:l2", "answer submitted in gold"),
    ]
    assert "a secret" not in "\n".join(found.lines())


def test_a_label_leads_up_to_the_training_set_in_which_it_stands(workspace):
    from clworkbench.loop.training_sets.convert import build

    made = build(workspace)

    assert trace(workspace, "l2").up["id"].to_list() == [made.id]
    assert trace(workspace, "l1").up.is_empty()


def test_an_id_of_nothing_says_what_there_could_be(workspace):
    with pytest.raises(ArtefactError, match="no artefact, no signal, no label"):
        trace(workspace, "l3")


def test_a_trace_names_its_only_signal_and_of_several_one_must_be_named(workspace, tmp_path):
    for trace_id, n in (("t1", 1), ("t2", 2)):
        calls = [
            {
                "id": f"{trace_id}-{i}",
                "traceId": trace_id,
                "type": "GENERATION",
                "startTime": "2026-03-01T09:00:00Z",
                "input": [{"role": "user", "content": f"q {trace_id} {i}"}],
                "output": {"role": "assistant", "content": "a"},
            }
            for i in range(n)
        ]
        file = tmp_path / f"{trace_id}.json"
        file.write_text(json.dumps({"trace": {"id": trace_id}, "observations": calls}))
        capture.ingest(workspace, [file], "langfuse")
    assert trace(workspace, "t1").id == trace(workspace, "t1-0").id
    with pytest.raises(ArtefactError, match=r"t2: 2 records are of that trace\. Name the signal: "):
        trace(workspace, "t2")
