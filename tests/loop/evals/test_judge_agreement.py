"""A judge held against people in a workspace: what it is shown, what is kept, paid for, and refused."""

import json
import signal
import subprocess
import sys
import time

import polars as pl
import pytest
from click.testing import CliRunner

from clworkbench.audit.checks import audit
from clworkbench.cli.main import clw
from clworkbench.errors import BudgetError, EndpointError, EvidenceError, SettingsError
from clworkbench.lineage import trace
from clworkbench.loop.data import import_labels
from clworkbench.loop.evals.judge_agreement import judge_agreement
from clworkbench.schemas import in_schema
from tests.chat_server import Answer, chat_server, failing, said
from tests.loop.judging import N, grades, label, make, shown_answer

PRICES = "usd_per_million_prompt = 100\nusd_per_million_completion = 1000"


@pytest.fixture(autouse=True)
def key_outside(tmp_path, monkeypatch):
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))


def test_a_judge_that_says_what_people_say_may_gate_and_the_measurement_is_kept(tmp_path):
    with chat_server(grades()) as server:
        workspace = make(tmp_path / "w", server.url)
        label(workspace)
        found = judge_agreement(workspace, "helpful")
        again = judge_agreement(workspace, "helpful")
    assert (found.may_gate, found.frame["kappa"].to_list()) == (True, [1.0, 1.0])
    assert found.frame.select("slice", "n").rows() == [("all", N), ("parcels", N // 2)]
    assert len(server.requests) == N  # the second time nothing was asked
    assert again.id == found.id
    manifest = workspace.find("judge", "helpful")
    batches = [batch.batch_id for batch in workspace.catalog.batches(kind="labels")]
    assert (manifest["id"], manifest["parents"]) == (found.id, [f"labels:{batch}" for batch in batches])
    assert [check for check in audit(workspace, found.id).checks if not check.ok] == []
    assert f"labels:{batches[0]}" in trace(workspace, found.id).down["id"].to_list()


def test_what_is_kept_holds_neither_texts_nor_ids(tmp_path):
    with chat_server(grades()) as server:
        workspace = make(tmp_path / "w", server.url)
        label(workspace)
        found = judge_agreement(workspace, "helpful")
    kept = b"".join(path.read_bytes() for path in workspace.artefact_folder(found.id).iterdir())
    kept += json.dumps(workspace.catalog.query("select * from judged")).encode()
    ids = workspace.signals()["interaction_id"]
    assert b"on its way" not in kept
    assert [own for own in ids if own.encode() in kept] == []


def test_mistakes_of_the_judge_are_counted_and_lower_kappa(tmp_path):
    with chat_server(grades(wrong=40)) as server:
        workspace = make(tmp_path / "w", server.url)
        label(workspace)
        found = judge_agreement(workspace, "helpful")
    mistaken = found.disagreements.height
    assert 20 < mistaken < 45
    assert found.frame["same"][0] == pytest.approx(1 - mistaken / N)
    assert not found.may_gate
    assert "not shown to reach min_kappa" in found.why_not


def test_the_judge_is_asked_at_temperature_0_and_sees_no_label(tmp_path):
    with chat_server(grades()) as server:
        workspace = make(tmp_path / "w", server.url, judge="seed = 5")
        label(workspace)
        judge_agreement(workspace, "helpful")
    (bodies,) = {json.dumps([body["temperature"], body["seed"], body["model"]]) for body in server.requests}
    assert bodies == '[0.0, 5, "large-1"]'
    assert not any(word in body["messages"][1]["content"] for body in server.requests for word in ("accept", "reject"))


def test_texts_leave_redacted_and_excluded_ones_never(tmp_path):
    more = "[policy.exclude]\ninvoices = \"text LIKE '%invoice 1%'\""
    with chat_server(grades()) as server:
        workspace = make(tmp_path / "w", server.url, more='[policy]\nredaction = "off"\n' + more)
        label(workspace)
        toml = workspace.folder / "clw.toml"
        toml.write_text(toml.read_text().replace('redaction = "off"', 'redaction = "patterns"'))
        interactions = workspace.scan("interactions").collect()
        assert interactions.height == N
        found = judge_agreement(workspace, "helpful")
    asked = "".join(body["messages"][1]["content"] for body in server.requests)
    assert "parcel 1?" in asked
    assert "invoice 1" not in asked
    assert found.left_out == {"kept out by the policy, or forgotten": 5}  # 10, 12, 14, 16, 18


def test_an_address_that_came_in_unredacted_does_not_leave(tmp_path):
    from clworkbench.loop.evals.judge import cleared_cases

    workspace = make(tmp_path / "w", "http://127.0.0.1:9/v1", n=2)
    asked = dict.fromkeys(("tool_calls", "tool_call_id", "name", "parts"))
    asked |= {"role": "user", "content": "I am jane.roe@example.com"}
    rows = pl.DataFrame({"input": [[asked]], "answer": ["Write to jane.roe@example.com"], "expected": [None]})
    (case,) = cleared_cases(workspace, rows.with_columns(pl.col("expected").cast(pl.String)))
    assert "jane.roe" not in f"{case}"


def test_a_reply_that_cannot_be_read_is_asked_once_more_and_then_has_no_grade(tmp_path):
    calm = grades()

    def behave(number, body):
        if "on its way 1\n" in body["messages"][1]["content"]:
            return said("I would say pass.")
        if "on its way 2\n" in body["messages"][1]["content"] and len(body["messages"]) == 2:
            return said("{")
        return calm(number, body)

    with chat_server(behave) as server:
        workspace = make(tmp_path / "w", server.url)
        label(workspace)
        found = judge_agreement(workspace, "helpful")
    assert len(server.requests) == N + 2
    assert found.frame.select("n", "ungraded").row(0) == (N - 1, 1)
    assert found.confusion.filter(pl.col("judge").is_null())["n"].to_list() == [1]
    assert found.may_gate


def test_an_injection_in_an_answer_reaches_the_judge_only_within_the_fence(tmp_path):
    with chat_server(grades()) as server:
        workspace = make(tmp_path / "w", server.url)
        label(workspace)
        judge_agreement(workspace, "helpful")
    for body in server.requests:
        system, user = body["messages"]
        assert shown_answer(body) not in system["content"]
        assert user["content"].startswith("<<<")


def test_an_endpoint_that_fails_half_way_loses_nothing_that_was_graded(tmp_path):
    calm = grades()
    with chat_server(lambda number, body: calm(number, body) if number < 30 else failing(503)) as server:
        workspace = make(tmp_path / "w", server.url)
        label(workspace)
        with pytest.raises(EndpointError, match=r"50 of 80 answers are not graded yet.*\n.*goes on from here"):
            judge_agreement(workspace, "helpful")
        asked = len(server.requests)
        server.behave = calm
        assert judge_agreement(workspace, "helpful").may_gate
    assert len(server.requests) == asked + 50


def test_each_reply_is_paid_in_the_ledger_and_a_limit_stops_before_it_is_passed(tmp_path):
    with chat_server(grades()) as server:
        short, budget = "max_new_tokens = 32", "[budget]\neval = { usd = 1.0 }"
        workspace = make(tmp_path / "w", server.url, judge=short, prices=PRICES, more=budget)
        label(workspace)
        with pytest.raises(BudgetError, match=r"the next grade might go above \[budget.eval\] \(.* of 1 USD\)"):
            judge_agreement(workspace, "helpful")
        spent = workspace.catalog.ledger().filter(verb="eval")["cost_usd"].sum()
        # 100 tokens asked at 100 and 10 answered at 1,000 US dollars for a million: 2 cents each.
        assert spent == pytest.approx(0.02 * len(server.requests))
        assert 0.5 < spent <= 1
        toml = workspace.folder / "clw.toml"
        toml.write_text(toml.read_text().replace("usd = 1.0", "usd = 100.0"))
        assert judge_agreement(workspace, "helpful").may_gate
    assert len(server.requests) == N
    assert workspace.catalog.ledger().filter(verb="eval")["cost_usd"].sum() == pytest.approx(0.02 * N)


def test_a_reply_whose_tokens_nobody_counted_is_booked_as_dear_as_it_could_be(tmp_path):
    uncounted = grades()

    def behave(number, body):
        answer = json.loads(uncounted(number, body).body)
        del answer["usage"]
        return Answer(answer)

    with chat_server(behave) as server:
        workspace = make(tmp_path / "w", server.url, judge="max_new_tokens = 32", prices=PRICES)
        label(workspace)
        judge_agreement(workspace, "helpful")
    spent = workspace.catalog.ledger().filter(verb="eval")["cost_usd"].sum()
    # The answer alone: 32 tokens at 1,000 USD a million, for each of the 80.
    assert spent > 80 * 0.032


def test_too_few_labels_are_refused_before_anything_is_sent(tmp_path):
    with chat_server(grades()) as server:
        workspace = make(tmp_path / "w", server.url)
        label(workspace, n=20)
        with pytest.raises(EvidenceError, match=r"20 answers with a label that counts .* at least 50 are wanted"):
            judge_agreement(workspace, "helpful")
        label(workspace, verdict="accept", at="2026-03-06")
        with pytest.raises(EvidenceError, match="gave all 80 answers the same grade"):
            judge_agreement(workspace, "helpful")
    assert server.requests == []


def test_labels_that_contradict_each_other_do_not_count(tmp_path):
    with chat_server(grades()) as server:
        workspace = make(tmp_path / "w", server.url)
        label(workspace)
        label(workspace, n=20, who="bob", verdict="accept")
        found = judge_agreement(workspace, "helpful")
    assert found.frame["n"][0] == N - 7  # of the first 20, 0, 3, …, 18 are bad


def test_an_unknown_judge_is_refused_with_those_there_are(tmp_path):
    workspace = make(tmp_path / "w", "http://127.0.0.1:9/v1", n=2)
    with pytest.raises(SettingsError, match=r"no judge 'kind'. There: helpful"):
        judge_agreement(workspace, "kind")


def test_a_judge_that_sees_what_was_expected_is_held_against_answers_that_differ_from_it(tmp_path):
    from clworkbench.loop.data import freeze_suite
    from tests.tiny_workspace import write_lines

    with chat_server(grades()) as server:
        workspace = make(tmp_path / "w", server.url, judge="sees_expected = true")
        label(workspace)
        asks = workspace.signals().sort("started_at")["text"]
        words = ["on its way" if number < 10 else "it comes" for number in range(70)]
        examples = [{"input": asks[number], "expected": f"{said} {number}"} for number, said in enumerate(words)]
        suite = freeze_suite(workspace, "main", write_lines(tmp_path / "suite.jsonl", examples))
        found = judge_agreement(workspace, "helpful")
    assert found.left_out == {
        "no suite says what was expected, which this judge is shown": 10,
        "the answer is the expected one: this judge would see that": 6,  # 1, 2, 4, 5, 7 and 8
    }
    assert "expected answer:\nit comes 20" in "".join(body["messages"][1]["content"] for body in server.requests)
    assert suite["id"] in workspace.find("judge", "helpful")["parents"]


def test_the_command_says_yes_or_no_and_what_would_be_sent(tmp_path):
    with chat_server(grades()) as server:
        workspace = make(tmp_path / "w", server.url)
        label(workspace)
        place = ["--workspace", str(workspace.folder)]
        shown = CliRunner().invoke(clw, ["judge", "agree", "helpful", "--dry-run", *place])
        assert shown.exit_code == 0, shown.output
        assert f"80 answers would be graded at {server.url}" in shown.output
        assert server.requests == []
        yes = CliRunner().invoke(clw, ["judge", "agree", "helpful", "--json", *place])
        server.behave = grades(wrong=50)
        toml = workspace.folder / "clw.toml"
        toml.write_text(toml.read_text().replace("Is the answer right?", "Is it good?"))
        no = CliRunner().invoke(clw, ["judge", "agree", "helpful", *place])
    told = json.loads(yes.stdout)
    assert (yes.exit_code, told["may_gate"], told["n"]) == (0, True, 80)
    assert no.exit_code == 1
    assert "judge:helpful may not gate: kappa" in no.output


def test_a_changed_file_of_an_agreement_is_found_by_its_audit(tmp_path):
    with chat_server(grades(wrong=10)) as server:
        workspace = make(tmp_path / "w", server.url)
        label(workspace)
        found = judge_agreement(workspace, "helpful")
    path = workspace.artefact_folder(found.id) / "grades.jsonl"
    path.write_text(path.read_text().replace('"judge": 0', '"judge": 1'))
    assert "files" in [check.name for check in audit(workspace, found.id).checks if not check.ok]


def test_ratings_are_held_against_ratings_of_people_on_the_same_scale(tmp_path):
    def behave(_number, body):
        own = int(shown_answer(body).split()[-1])
        return said(json.dumps({"reason": "x", "grade": min(5, own % 5 + 1 + own % 2)}))

    with chat_server(behave) as server:
        workspace = make(tmp_path / "w", server.url, judge="ratings = 5")
        signals = workspace.signals().sort("started_at")["interaction_id"]
        rows = [f"{own},rating,{9 if number < 4 else number % 5 + 1},ann" for number, own in enumerate(signals)]
        sheet = tmp_path / "ratings.csv"
        sheet.write_text("\n".join(["interaction_id,question,value,annotator", *rows]) + "\n")
        import_labels(workspace, sheet)
        found = judge_agreement(workspace, "helpful")
    assert found.left_out == {"not a grade of 1 to 5": 4}
    assert found.frame["n"][0] == N - 4
    assert found.frame["sensitivity"][0] is None
    assert "(differences by their squares) of judge:helpful" in found._repr_html_()
    # Of the 76, each second is rated one higher by the judge, but for those that people rated 5 already.
    higher = sum(min(5, i % 5 + 1 + i % 2) - (i % 5 + 1) for i in range(4, N))
    assert found.frame["higher"][0] == pytest.approx(higher / 76)


def test_a_label_leads_to_the_judges_that_were_held_against_it(tmp_path):
    with chat_server(grades()) as server:
        workspace = make(tmp_path / "w", server.url)
        label(workspace)
        found = judge_agreement(workspace, "helpful")
    own = workspace.labels()["label_id"][0]
    assert trace(workspace, own).up["id"].to_list() == [found.id]


def test_suggestions_that_were_left_as_they_were_do_not_count(tmp_path):
    with chat_server(grades()) as server:
        workspace = make(tmp_path / "w", server.url)
        rows = pl.DataFrame(
            {
                "label_id": [f"l{i}" for i in range(N)],
                "interaction_id": workspace.signals().sort("started_at")["interaction_id"],
                "question": "answer",
                "value": ["reject" if i % 3 == 0 else "accept" for i in range(N)],
                "annotator_key": "ann",
                "status": "submitted",
                "source": "argilla/review",
                "equals_suggestion": [i < 10 for i in range(N)],
            }
        )
        workspace.write_batch("one", "labels", {"labels": in_schema("labels", rows)})
        found = judge_agreement(workspace, "helpful")
    assert found.left_out == {"left as suggested: nobody can tell whether it was looked at": 10}
    assert found.frame["n"][0] == N - 10


@pytest.mark.slow
def test_a_measurement_that_is_killed_goes_on_from_there(tmp_path):
    calm = grades()
    with chat_server(lambda number, body: slowly(calm(number, body))) as server:
        workspace = make(tmp_path / "w", server.url)
        label(workspace)
        verb = ["judge", "agree", "helpful", "--workspace", workspace.folder]
        command = [sys.executable, "-c", "from clworkbench.cli.main import main; main()", *verb]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
            while len(server.requests) < 30 and running.poll() is None:
                time.sleep(0.01)
            running.send_signal(signal.SIGKILL)
        asked = len(server.requests)
        assert 30 <= asked < N
        found = judge_agreement(workspace, "helpful")
    assert found.frame["n"][0] == N
    assert len(server.requests) <= N + 8  # those that were under way may be asked again


def slowly(answer):
    answer.seconds = 0.05
    return answer
