"""Evaluations: answers that are kept cost nothing again, whoever gave them and however the last try ended."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest

from clworkbench.audit.budget import budget
from clworkbench.errors import ArtefactError, BudgetError, EndpointError, ModelError, SettingsError
from clworkbench.loop import data
from clworkbench.loop.evals.model import evaluate, resolve
from clworkbench.models import endpoint as endpoint_module
from clworkbench.models.weights import fingerprint
from clworkbench.releases.gates import Gate, judge
from clworkbench.schemas import SCORES
from clworkbench.workspace import Workspace
from clworkbench.workspace.answers import Answers, Kept
from tests.chat_server import Answer, chat_server, failing, said
from tests.tiny_workspace import write_lines

SETTINGS = """\
format = 1
[model]
base = "{base}"
dtype = "float32"
threads = 1
[endpoints.large]
url = "{url}"
model = "large-1"
retries = 0
concurrency = 2
usd_per_million_prompt = 0
usd_per_million_completion = 10000
[evals]
suites = ["main"]
max_new_tokens = 8
batch_size = 4
"""
CLW = [sys.executable, "-c", "from clworkbench.cli import main; main()"]


@pytest.fixture(autouse=True)
def _own_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))


def workspace_at(
    folder: Path, *, base: object = "none", url: str = "http://127.0.0.1:1/v1", n: int = 12, more: str = ""
):
    workspace = Workspace.create(folder / "work", settings=SETTINGS.format(base=base, url=url) + more)
    freeze(workspace, n)
    return workspace


def freeze(workspace: Workspace, n: int) -> None:
    rows = [{"id": f"q{i:02}", "input": f"where is card {i}", "expected": f"card {i}"} for i in range(n)]
    data.freeze_suite(workspace, "main", write_lines(workspace.folder / "suite.jsonl", rows))


def change(workspace: Workspace, old: str, new: str) -> None:
    settings = workspace.folder / "clw.toml"
    text = settings.read_text()
    assert old in text
    settings.write_text(text.replace(old, new))


def question(body) -> str:
    return body["messages"][-1]["content"]


def echo(_number, body):
    return said(question(body).removeprefix("where is "), completion=10)


def test_an_endpoint_is_scored_with_latency_and_price_and_asked_once(tmp_path):
    with chat_server(echo) as server:
        workspace = workspace_at(tmp_path, url=server.url)
        first = evaluate(workspace, "endpoint:large", "main")
        again = evaluate(workspace, "endpoint:large", "main")
    assert len(server.requests) == 12
    assert first.scores["score"].to_list() == [1.0] * 12
    assert first.scores["cost_usd"].to_list() == pytest.approx([0.1] * 12)
    assert first.scores["latency_ms"].min() > 0
    assert first.scores["termination"].unique().to_list() == ["stop"]
    assert (first.cached, first.known, again.cached, again.known) == (False, 0, True, 12)
    assert again.scores.equals(first.scores)
    assert {"model": "endpoint:large", "n": 12, "cached": True, "known": 12}.items() <= again.as_dict().items()
    assert {"metrics", "slices", "suite"} <= again.as_dict().keys()


def test_only_what_is_new_in_a_suite_is_asked_and_another_scorer_asks_nothing(tmp_path):
    with chat_server(echo) as server:
        workspace = workspace_at(tmp_path, url=server.url)
        evaluate(workspace, "endpoint:large", "main")
        freeze(workspace, 14)
        more = evaluate(workspace, "endpoint:large", "main")
        assert sorted(map(question, server.requests[12:])) == ["where is card 12", "where is card 13"]
        assert (more.known, more.cached, more.scores.height) == (12, False, 14)
        change(workspace, "[evals]", '[evals]\nscorers = ["exact_match", "contains"]')
        other = evaluate(workspace, "endpoint:large", "main")
    assert len(server.requests) == 14
    assert (other.known, other.cached, other.scores.height) == (14, False, 28)
    assert other.lines()[0].endswith("(14 of 14 answers cached)")


def test_other_settings_of_generation_are_other_answers(tmp_path):
    with chat_server(echo) as server:
        workspace = workspace_at(tmp_path, url=server.url)
        evaluate(workspace, "endpoint:large", "main")
        change(workspace, "max_new_tokens = 8", "max_new_tokens = 9")
        evaluate(workspace, "endpoint:large", "main")
        change(workspace, 'model = "large-1"', 'model = "large-2"')
        evaluate(workspace, "endpoint:large", "main")
    assert len(server.requests) == 36


def test_the_same_prompt_twice_in_a_suite_is_asked_once(tmp_path):
    with chat_server(echo) as server:
        workspace = workspace_at(tmp_path, url=server.url)
        rows = [{"id": name, "input": "where is card 1", "expected": "card 1"} for name in "abc"]
        data.freeze_suite(workspace, "main", write_lines(tmp_path / "twice.jsonl", rows))
        found = evaluate(workspace, "endpoint:large", "main")
    assert (len(server.requests), found.scores["score"].to_list()) == (1, [1.0, 1.0, 1.0])


def test_repetitions_are_kept_apart_and_more_of_them_ask_only_for_those(tmp_path):
    with chat_server(lambda n, _: said(f"answer {n}")) as server:
        workspace = workspace_at(tmp_path, url=server.url, n=4)
        change(workspace, "[evals]", "[evals]\ntemperature = 0.7")
        three = evaluate(workspace, "endpoint:large", "main", repetitions=3)
        five = evaluate(workspace, "endpoint:large", "main", repetitions=5)
    assert three.scores.select("example_id", "repetition").rows() == [
        (f"q0{i}", repetition) for i in range(4) for repetition in range(3)
    ]
    assert three.scores["output"].n_unique() == 12
    assert three.manifest["n"] == three.as_dict()["metrics"]["exact_match"]["n"] == 4
    assert (len(server.requests), five.known, five.scores.height) == (20, 12, 20)
    kept = five.scores.filter(pl.col("repetition") < 3).select("example_id", "repetition", "output")
    assert kept.equals(three.scores.select(kept.columns))


def test_repetitions_that_could_only_say_the_same_are_refused_in_words(tmp_path):
    workspace = workspace_at(tmp_path)
    with pytest.raises(SettingsError, match=r"3 repetitions at temperature 0 .*\n.*Set temperature in \[evals\]"):
        evaluate(workspace, "endpoint:large", "main", repetitions=3)
    change(workspace, "[evals]", "[evals]\nrepetitions = 2")
    with pytest.raises(SettingsError, match=r"\[evals\] repetitions = 2, but at temperature 0"):
        _ = workspace.settings


def test_an_endpoint_that_fails_half_way_leaves_what_it_answered_and_the_same_command_goes_on(tmp_path):
    healthy = False

    def behave(number, body):
        return echo(number, body) if number < 7 or healthy else failing(401, "revoked")

    with chat_server(behave) as server:
        workspace = workspace_at(tmp_path, url=server.url, n=30)
        with pytest.raises(EndpointError, match=r"large: it answered 401: the key is refused.*\n7 of 30 are an"):
            evaluate(workspace, "endpoint:large", "main")
        assert workspace.counts()["scores"] == 0
        asked = len(server.requests)
        assert asked <= 7 + 2 * 2
        healthy = True
        found = evaluate(workspace, "endpoint:large", "main")
    assert len(server.requests) == asked + 23
    assert (found.known, found.scores["score"].sum()) == (7, 30)


def test_an_example_that_is_refused_scores_0_and_the_reason_is_told(tmp_path):
    def behave(number, body):
        return failing(400, "maximum context length is 10 tokens") if "card 3" in question(body) else echo(number, body)

    with chat_server(behave) as server:
        workspace = workspace_at(tmp_path, url=server.url)
        found = evaluate(workspace, "endpoint:large", "main")
    assert found.scores["score"].sum() == 11
    assert found.unanswered()["example_id"].to_list() == ["q03"]
    assert found.lines()[1] == ("1 of 12 not answered, scored 0: it answered 400 (maximum context length is 10 tokens)")


def test_an_endpoint_that_refuses_everything_gets_no_score_of_0(tmp_path):
    with chat_server(lambda *_: failing(400, "temperature must be 1")) as server:
        workspace = workspace_at(tmp_path, url=server.url)
        with pytest.raises(EndpointError, match=r"refuses what it is asked: it answered 400 \(temperature must be 1\)"):
            evaluate(workspace, "endpoint:large", "main")
    assert workspace.counts()["scores"] == 0


def test_what_an_endpoint_costs_is_booked_and_it_stops_within_the_limit(tmp_path):
    # An answer costs 0.1 USD, and may cost 0.08: after 8 replies it is clear that 40 cost more than 2 USD.
    with chat_server(echo) as server:
        workspace = workspace_at(tmp_path, url=server.url, n=40, more="[budget]\neval = { usd = 2.0 }\n")
        with pytest.raises(BudgetError, match=r"(?s)all 40 cost 4\.00 USD.*above \[budget.eval\].*are answered"):
            evaluate(workspace, "endpoint:large", "main")
        asked = len(server.requests)
        assert 8 <= asked <= 20
        answered = len(Answers(workspace.folder).known(key_of(workspace), prompts_of(workspace)))
        assert answered == asked
        booked = budget(workspace).frame.filter(kind="eval")["usd"].item()
        assert booked == pytest.approx(0.1 * answered)
        change(workspace, "usd = 2.0", "usd = 8.0")
        found = evaluate(workspace, "endpoint:large", "main")
        assert found.known == answered
        assert budget(workspace).frame.filter(kind="eval")["usd"].item() == pytest.approx(4.0)


def test_a_reply_whose_tokens_nobody_counted_is_booked_as_dear_as_it_could_be(tmp_path):
    def uncounted(number, body):
        answer = json.loads(echo(number, body).body)
        return Answer({"choices": answer["choices"]})

    with chat_server(uncounted) as server:
        workspace = workspace_at(tmp_path, url=server.url)
        found = evaluate(workspace, "endpoint:large", "main")
    assert found.scores["cost_usd"].null_count() == 12
    # Up to 8 tokens of an answer at 0.01 USD each.
    assert budget(workspace).frame.filter(kind="eval")["usd"].item() == pytest.approx(12 * 0.08)


def test_prompts_that_alone_cost_more_than_is_left_are_not_sent(tmp_path):
    with chat_server(echo) as server:
        workspace = workspace_at(tmp_path, url=server.url, more="[budget]\nall = { usd = 0.5 }\n")
        change(workspace, "usd_per_million_prompt = 0", "usd_per_million_prompt = 100000")
        with pytest.raises(BudgetError, match=r"12 prompts alone cost about .* USD. That is above \[budget.all\]"):
            evaluate(workspace, "endpoint:large", "main")
    assert server.requests == []


def test_a_limit_in_usd_needs_a_price(tmp_path):
    with chat_server(echo) as server:
        workspace = workspace_at(tmp_path, url=server.url, more="[budget]\neval = { usd = 2.0 }\n")
        change(workspace, "usd_per_million_prompt = 0\nusd_per_million_completion = 10000\n", "")
        with pytest.raises(EndpointError, match="no price is known"):
            evaluate(workspace, "endpoint:large", "main")
        assert server.requests == []
        change(workspace, "[budget]\neval = { usd = 2.0 }\n", "")
        assert evaluate(workspace, "endpoint:large", "main").scores["cost_usd"].null_count() == 12


def key_of(workspace: Workspace) -> str:
    from clworkbench.loop.evals.model import _asking

    return _asking(workspace, resolve(workspace, "endpoint:large"), None).key


def prompts_of(workspace: Workspace) -> list[str]:
    from clworkbench.loop.evals.answering import prompt_sha

    return [prompt_sha(messages) for messages in workspace.rows("suite:main")["input"]]


def test_an_endpoint_that_nobody_declared_is_told_with_those_that_are_there(tmp_path):
    workspace = workspace_at(tmp_path)
    with pytest.raises(ModelError, match=r"no \[endpoints.larg\] in clw.toml. Did you mean endpoint:large\?"):
        evaluate(workspace, "endpoint:larg", "main")


def test_personal_data_in_an_answer_is_kept_nowhere_and_the_rest_of_it_is_graded(tmp_path):
    with chat_server(lambda *_: said("Write to jane.doe@example.com")) as server:
        workspace = workspace_at(tmp_path, url=server.url, n=2, more="[policy]\nleaving = 'patterns'\n")
        change(workspace, "[evals]", '[evals]\nscorers = ["contains"]')
        rows = [{"id": "a", "input": "whom do I write to", "expected": "Write to"}]
        data.freeze_suite(workspace, "main", write_lines(tmp_path / "one.jsonl", rows))
        found = evaluate(workspace, "endpoint:large", "main")
        change(workspace, '["contains"]', '["contains", "valid_json"]')
        again = evaluate(workspace, "endpoint:large", "main")
    assert len(server.requests) == 1
    assert found.scores["score"].to_list() == again.scores.filter(scorer="contains")["score"].to_list() == [1.0]
    held = [p for p in workspace.folder.rglob("*") if p.is_file() and b"jane.doe" in p.read_bytes()]
    assert held == []
    assert "jane" not in found.scores["output"][0]


def test_answers_that_were_kept_while_redaction_was_off_are_redacted_once_it_is_on(tmp_path):
    with chat_server(lambda *_: said("Write to jane.doe@example.com")) as server:
        workspace = workspace_at(tmp_path, url=server.url, n=1, more="[policy]\nredaction = 'off'\n")
        evaluate(workspace, "endpoint:large", "main")
        change(workspace, "redaction = 'off'", "leaving = 'patterns'")
        change(workspace, "[evals]", '[evals]\nscorers = ["contains"]')
        found = evaluate(workspace, "endpoint:large", "main")
    assert (found.known, len(server.requests)) == (1, 1)
    assert "jane" not in found.scores["output"][0]


def test_a_local_model_answers_the_same_from_the_cache_and_loads_nothing_for_it(tmp_path, tiny_base):
    workspace = workspace_at(tmp_path, base=tiny_base)
    first = evaluate(workspace, str(tiny_base), "main")
    change(workspace, "[evals]", '[evals]\nscorers = ["exact_match", "contains"]')
    again = evaluate(workspace, str(tiny_base), "main")
    assert (first.known, again.known, again.cached) == (0, 12, False)
    told = ("example_id", "output", "n_input_tokens", "n_output_tokens", "confidence", "termination")
    assert again.scores.filter(scorer="exact_match").select(told).equals(first.scores.select(told))
    assert first.scores["latency_ms"].null_count() == 12


def test_a_local_model_asked_one_by_one_says_how_long_each_answer_took(tmp_path, tiny_base):
    workspace = workspace_at(tmp_path, base=tiny_base, n=3)
    change(workspace, "batch_size = 4", "batch_size = 1")
    assert evaluate(workspace, str(tiny_base), "main").scores["latency_ms"].min() > 0


def test_answers_that_nobody_timed_are_not_taken_where_each_is_to_be_timed(tmp_path, tiny_base):
    workspace = workspace_at(tmp_path, base=tiny_base, n=3)
    evaluate(workspace, str(tiny_base), "main")
    change(workspace, "batch_size = 4", "batch_size = 1")
    assert evaluate(workspace, str(tiny_base), "main").scores["latency_ms"].null_count() == 0


def test_sampled_repetitions_of_a_local_model_differ_and_are_the_same_in_any_batch(tmp_path, tiny_base):
    workspace = workspace_at(tmp_path, base=tiny_base, n=3)
    change(workspace, "[evals]", "[evals]\ntemperature = 1.0\nrepetitions = 3")
    first = evaluate(workspace, str(tiny_base), "main").scores
    assert first.group_by("example_id").agg(pl.col("output").n_unique())["output"].to_list() == [3, 3, 3]
    Answers(workspace.folder).path.unlink()
    change(workspace, "batch_size = 4", "batch_size = 2")
    change(workspace, "[evals]", '[evals]\nscorers = ["contains"]')
    again = evaluate(workspace, str(tiny_base), "main")
    assert again.known == 0
    assert again.scores["output"].to_list() == first["output"].to_list()


def test_a_prompt_that_is_too_long_is_not_cut_in_silence(tmp_path, tiny_base):
    workspace = workspace_at(tmp_path, base=tiny_base)
    rows = [{"id": "long", "input": "card " * 40_000, "expected": "x"}, {"id": "short", "input": "hi", "expected": "x"}]
    data.freeze_suite(workspace, "main", write_lines(tmp_path / "long.jsonl", rows))
    found = evaluate(workspace, str(tiny_base), "main")
    assert found.as_dict()["unanswered"] == 1
    assert re.search(
        r"1 of 2 not answered, scored 0: a prompt of \d+ tokens .* exceed the model's 512", found.lines()[1]
    )


def make_run(workspace: Workspace, base: Path, base_sha256: str) -> str:
    about = {"method": "sft", "base": str(base), "base_sha256": base_sha256, "adapter_sha256": "0" * 64}
    return str(workspace.publish("run:main-one", about=about)["id"])


def test_a_run_whose_base_was_changed_is_not_measured_as_if_it_were_the_same(tmp_path, tiny_base):
    workspace = workspace_at(tmp_path, base=tiny_base)
    with pytest.raises(ModelError, match=r"run:main-one: its base .* is another one than it was trained on"):
        evaluate(workspace, make_run(workspace, tiny_base, "f" * 64), "main")


def test_a_run_without_its_adapter_is_told_in_words(tmp_path, tiny_base):
    workspace = workspace_at(tmp_path, base=tiny_base)
    with pytest.raises(ModelError, match=r"no adapter_model.safetensors .* Train the run again"):
        evaluate(workspace, make_run(workspace, tiny_base, fingerprint(tiny_base)), "main")


def test_a_broken_file_of_answers_is_told_with_what_is_lost_without_it(tmp_path):
    workspace = workspace_at(tmp_path)
    path = Answers(workspace.folder).path
    path.parent.mkdir()
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(ArtefactError, match=r"not a file of answers .*\nDelete it: only answers are lost"):
        evaluate(workspace, "endpoint:large", "main")


def test_answers_stay_out_of_git(tmp_path):
    answers = Answers(tmp_path)
    answers.keep([Kept("m", "p", 0, "a", {"output": "x"})])
    assert (answers.path.parent / ".gitignore").read_text() == "*\n"


def test_a_disk_without_room_is_said_in_words_and_what_was_kept_stays(tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", small], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small disk needs rights that this user lacks")
    try:
        answers = Answers(small)
        answers.keep([Kept("m", "first", 0, "a", {"output": "x" * 50_000})])
        with pytest.raises(ArtefactError, match=r"answers: could not be written to .*no room"):
            answers.keep([Kept("m", "second", number, "a", {"output": "x" * 50_000}) for number in range(9)])
        assert list(answers.known("m", ["first", "second"])) == [("first", 0)]
    finally:
        subprocess.run(["umount", small], check=True)


@pytest.mark.skipif(os.name != "posix", reason="bounds files by RLIMIT_FSIZE")
def test_a_quota_that_is_used_up_is_said_in_words_and_what_was_kept_stays(tmp_path):
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from clworkbench.workspace.answers import Answers, Kept\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "answers = Answers(Path(sys.argv[1]))\n"
        "rows = lambda n: [Kept('m', f'p{n}', i, 'a', {'output': 'x' * 5000}) for i in range(20)]\n"
        "answers.keep(rows(0))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))\n"
        "answers.keep(rows(1))\n"
    )
    ran = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False)
    assert re.search(r"ArtefactError: .*answers.db: cannot be read or written .*What was kept stays", ran.stderr)
    assert len(Answers(tmp_path).known("m", ["p0", "p1"])) == 20


def test_repetitions_do_not_make_a_gate_surer_than_its_examples():
    # 40 examples that are asked once, and the same ones with the very same answers five times over.
    rows = [
        {"model": model, "suite": "s", "example_id": f"e{i}", "scorer": "x", "repetition": 0, "slices": [],
         "score": float(right(i))}
        for model, right in (("old", lambda i: i < 20), ("new", lambda i: 6 <= i < 34)) for i in range(40)
    ]  # fmt: skip
    once = pl.DataFrame(rows, schema=SCORES)
    five = pl.concat([once.with_columns(repetition=pl.lit(k, pl.Int32)) for k in range(5)])
    gates = (
        Gate("better", "x", "all", asks="better", margin=0.0, required=True),
        Gate("kept", "x", "all", asks="not_worse", margin=0.05, required=False),
    )
    sides = [
        judge(scores.filter(model="old"), scores.filter(model="new"), gates).gates.drop("smallest_detectable")
        for scores in (once, five)
    ]
    assert sides[0]["n"].to_list() == [40, 40]
    assert sides[0].select("n", "low", "high", "p").equals(sides[1].select("n", "low", "high", "p"))


def run_eval(folder: Path, *more: str) -> "subprocess.Popen[str]":
    command = [*CLW, "eval", *more, "--suite", "main", "--workspace", str(folder), "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def rows_in(path: Path) -> int:
    if not path.exists():
        return 0
    with closing(sqlite3.connect(path, timeout=30)) as db:
        try:
            return int(db.execute("select count(*) from answers").fetchone()[0])
        except sqlite3.OperationalError:
            return 0


@pytest.mark.slow
def test_two_at_once_ask_each_example_once_and_write_each_score_once(tmp_path):
    def slowly(number, body):
        time.sleep(0.05)
        return echo(number, body)

    with chat_server(slowly) as server:
        workspace = workspace_at(tmp_path, url=server.url, n=40)
        both = [run_eval(workspace.folder, "endpoint:large") for _ in range(2)]
        told = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert len(server.requests) == 40
    assert sorted(json.loads(out)["cached"] for out, _ in told) == [False, True]
    assert Workspace(workspace.folder).counts()["scores"] == 40


@pytest.mark.slow
@pytest.mark.parametrize("ends_by", [signal.SIGKILL, signal.SIGINT], ids=["kill", "ctrl-c"])
def test_an_evaluation_that_is_ended_in_the_middle_goes_on_from_there(tmp_path, ends_by):
    def slowly(number, body):
        time.sleep(0.1)
        return echo(number, body)

    with chat_server(slowly) as server:
        workspace = workspace_at(tmp_path, url=server.url, n=80)
        process = run_eval(workspace.folder, "endpoint:large")
        path = Answers(workspace.folder).path
        while rows_in(path) < 16:
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        process.send_signal(ends_by)
        _, errors = process.communicate(timeout=60)
        assert "Traceback" not in errors
        kept, asked = rows_in(path), len(server.requests)
        # What was on its way, the batch that was gathered, and on a busy machine another one behind it are lost.
        assert asked - kept <= 16 + 16 + 2
        assert Workspace(workspace.folder).counts()["scores"] == 0
        out, errors = run_eval(workspace.folder, "endpoint:large").communicate(timeout=300)
        assert json.loads(out)["known"] == kept
        assert len(server.requests) == asked + 80 - kept
    assert Workspace(workspace.folder).counts()["scores"] == 80


def test_clw_eval_prints_one_json_object_and_no_key(tmp_path, monkeypatch):
    monkeypatch.setenv("LARGE_KEY", "sk-secret-4711")
    with chat_server(echo) as server:
        workspace = workspace_at(tmp_path, url=server.url, n=3)
        change(workspace, 'model = "large-1"', 'model = "large-1"\nkey_env = "LARGE_KEY"')
        out, errors = run_eval(workspace.folder, "endpoint:large").communicate(timeout=300)
    assert {"model", "suite", "n", "metrics", "slices", "cached"} <= json.loads(out).keys()
    assert server.keys == ["Bearer sk-secret-4711"] * 3
    held = [p for p in workspace.folder.rglob("*") if p.is_file() and b"sk-secret" in p.read_bytes()]
    assert held == []
    assert "sk-secret" not in out + errors


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch):
    monkeypatch.setattr(endpoint_module, "FIRST_WAIT_S", 0.01)
