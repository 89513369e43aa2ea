"""Searches of the real server; what must be found is worked out from the same records in plain Python."""

import math
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from clworkbench.labels.server import process

pytestmark = pytest.mark.argilla

N = 40
TOPICS = ("refund", "delivery", "login")
AGENTS = ("small-model", "large-model")
META = {"slice": "terms", "tokens": "integer", "cost": "float"}


def record(i: int) -> dict[str, Any]:
    """Record `i` as it is sent; every expectation below is computed from these."""
    metadata: dict[str, Any] = {"slice": [TOPICS[i % 3], "all"] if i % 4 == 0 else TOPICS[i % 3]}
    if i % 5:
        metadata |= {"tokens": i * 10, "cost": i / 8}
    vectors = {"meaning": [math.cos(i), math.sin(i), i / 40]} if i % 7 else {}
    chat = [{"role": "user", "content": f"My {TOPICS[i % 3]} number {i}"}, {"role": "assistant", "content": "Sorry!"}]
    return {
        "external_id": f"e{i:03}",
        "fields": {"chat": chat, "answer": f"We look after it{' at once' * (i % 2)}. 中文搜索"},
        "metadata": metadata,
        "vectors": vectors,
        "suggestions": [{"question": "verdict", "value": "accept" if i % 2 else "reject", "score": i / N,
                         "agent": AGENTS[i % 2], "type": "model"}] if i % 6 else [],
    }  # fmt: skip


@dataclass
class Desk:
    """A published data set with records and responses, and two people."""

    url: str
    owner: httpx.Client
    anna: httpx.Client
    dataset: str
    ids: dict[str, int]
    properties: dict[str, str]
    answers: dict[str, dict[int, tuple[str, int | None, list[str]]]]
    folder: Any

    def search(self, by: httpx.Client | None = None, limit: int = 200, offset: int = 0, **body: Any) -> dict[str, Any]:
        mine = "/me" if by is not None else ""
        asked = (by or self.owner).post(
            f"{mine}/datasets/{self.dataset}/records/search", params={"limit": limit, "offset": offset}, json=body
        )
        assert asked.status_code == 200, asked.text
        return asked.json()

    def found(self, by: httpx.Client | None = None, **body: Any) -> list[int]:
        answer = self.search(by, **body)
        assert answer["total"] == len(answer["items"])
        return [self.ids[item["record"]["id"]] for item in answer["items"]]


def posted(client: httpx.Client, path: str, **body: Any) -> Any:
    answer = client.post(path, json=body)
    assert answer.status_code < 300, answer.text
    return answer.json()


def settings(kind: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, **more}


def options(*values: Any) -> list[dict[str, Any]]:
    return [{"value": value, "text": str(value)} for value in values]


@pytest.fixture(scope="module")
def desk(argilla_server):
    base = f"{argilla_server.url}/api/v1"
    with closing(
        httpx.Client(base_url=base, headers={"X-Argilla-Api-Key": argilla_server.api_key}, timeout=60)
    ) as owner:
        team = posted(owner, "/workspaces", name="search-team")["id"]
        person = posted(owner, "/users", first_name="Anna", username="anna-search", password="search-1234",
                        role="annotator")  # fmt: skip
        posted(owner, f"/workspaces/{team}/users", user_id=person["id"])
        key = {"X-Argilla-Api-Key": person["api_key"]}
        with closing(httpx.Client(base_url=base, headers=key, timeout=60)) as anna:
            yield filled(owner, anna, team, argilla_server)


def filled(owner: httpx.Client, anna: httpx.Client, team: str, server: Any) -> Desk:
    at = f"/datasets/{posted(owner, '/datasets', name='searched', workspace_id=team)['id']}"
    dataset = at.split("/")[2]
    for name, kind in (("chat", "chat"), ("answer", "text")):
        posted(owner, f"{at}/fields", name=name, title=name, required=True, settings=settings(kind))
    questions = {
        "verdict": settings("label_selection", options=options("accept", "reject")),
        "stars": settings("rating", options=options(1, 2, 3, 4, 5)),
        "tags": settings("multi_label_selection", options=options("rude", "wrong", "late")),
    }
    asked = {}
    for name, given in questions.items():
        asked[name] = posted(owner, f"{at}/questions", name=name, title=name, required=name == "stars", settings=given)[
            "id"
        ]
    properties = {}
    for name, kind in META.items():
        made = posted(owner, f"{at}/metadata-properties", name=name, title=name, settings=settings(kind))
        properties[name] = made["id"]
    posted(owner, f"{at}/vectors-settings", name="meaning", title="meaning", dimensions=3)
    assert owner.patch(f"{at}", json={"distribution": {"strategy": "overlap", "min_submitted": 1}}).is_success
    assert owner.put(f"{at}/publish").is_success, "publish"
    items = [record(i) for i in range(N)]
    for item in items:
        for suggestion in item["suggestions"]:
            suggestion["question_id"] = asked[suggestion.pop("question")]
    made = posted(owner, f"{at}/records/bulk", items=items)["items"]
    ids = {each["id"]: int(each["external_id"][1:]) for each in made}
    given: dict[str, dict[int, Any]] = {"owner": {}, "anna": {}}
    of = {number: record_id for record_id, number in ids.items()}
    for i in range(0, N, 3):
        status = ("submitted", "draft", "discarded")[i // 3 % 3]
        stars, tags = i % 5 + 1, ["rude", "late"][: i % 3 + 1] if i % 2 else ["wrong"]
        values = {"stars": {"value": stars}, "tags": {"value": tags}}
        posted(anna, f"/records/{of[i]}/responses", values=values, status=status)
        given["anna"][i] = (status, stars, tags)
        if i % 2:
            posted(owner, f"/records/{of[i]}/responses", values={"stars": {"value": 1}}, status="submitted")
            given["owner"][i] = ("submitted", 1, [])
    return Desk(server.url, owner, anna, dataset, ids, properties, given, server.home.folder)


def text(q: str, **more: Any) -> dict[str, Any]:
    return {"query": {"text": {"q": q, **more}}}


def terms(scope: dict[str, Any], *values: Any) -> dict[str, Any]:
    return {"type": "terms", "scope": scope, "values": list(values)}


def between(scope: dict[str, Any], ge: Any = None, le: Any = None) -> dict[str, Any]:
    return {"type": "range", "scope": scope, "ge": ge, "le": le}


def of_record(name: str) -> dict[str, Any]:
    return {"entity": "record", "property": name}


def of_metadata(name: str) -> dict[str, Any]:
    return {"entity": "metadata", "metadata_property": name}


def of_suggestion(name: str) -> dict[str, Any]:
    return {"entity": "suggestion", "question": "verdict", "property": name}


STATUS = {"entity": "response", "property": "status"}


def of_response(question: str) -> dict[str, Any]:
    return {"entity": "response", "question": question}


def where(holds: Callable[[int], Any]) -> set[int]:
    return {i for i in range(N) if holds(i)}


def slices(i: int) -> list[str]:
    given = record(i)["metadata"]["slice"]
    return given if isinstance(given, list) else [given]


def suggested(i: int, name: str) -> Any:
    return next((suggestion[name] for suggestion in record(i)["suggestions"]), None)


@pytest.mark.parametrize(
    ("body", "holds"),
    [
        (text("refund"), lambda i: i % 3 == 0),
        (text("refund once"), lambda i: i % 3 == 0 and i % 2),
        (text("number 7"), lambda i: i == 7),
        (text("refund | login"), lambda i: i % 3 != 1),
        (text("-refund"), lambda i: i % 3),
        (text('"number 12"'), lambda i: i == 12),
        (text('"12 sorry"'), lambda _: False),
        (text("deliv* -once"), lambda i: i % 3 == 1 and not i % 2),
        (text("refunt~1"), lambda i: i % 3 == 0),
        (text("搜索"), lambda _: True),
        (text("refund", field="answer"), lambda _: False),
        (text("refund", field="chat"), lambda i: i % 3 == 0),
        (text("-refund", field="answer"), lambda _: True),
        (text("user"), lambda _: False),
        (text("*"), lambda _: True),
        (text("!!"), lambda _: False),
        (text(")(\"'*-~\\"), lambda _: False),
    ],
    ids=lambda part: str(part) if isinstance(part, dict) else "",
)  # fmt: skip
def test_a_text_search_finds_what_plain_python_finds(desk, body, holds):
    assert set(desk.found(**body)) == where(holds)


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (terms(of_record("external_id"), "e003", "e007", "none"), lambda i: i in (3, 7)),
        (terms(of_record("status"), "completed"), lambda i: i % 3 == 0 and (i // 3 % 3 == 0 or i % 2)),
        (between(of_record("inserted_at"), ge="2020-01-01"), lambda _: True),
        (between(of_record("updated_at"), le="2020-01-01T00:00:00Z"), lambda _: False),
        (between(of_record("inserted_at"), ge=1577836800000), lambda _: True),
        (terms(of_metadata("slice"), "refund"), lambda i: "refund" in slices(i)),
        (terms(of_metadata("slice"), "all", "login"), lambda i: {"all", "login"} & set(slices(i))),
        (terms(of_metadata("tokens"), "70", "80.0"), lambda i: i in (7, 8)),
        (between(of_metadata("tokens"), 70, 210), lambda i: i % 5 and 7 <= i <= 21),
        (between(of_metadata("cost"), ge=2.5), lambda i: i % 5 and i / 8 >= 2.5),
        (terms(of_suggestion("value"), "accept"), lambda i: i % 6 and i % 2),
        (terms(of_suggestion("agent"), "small-model"), lambda i: i % 6 and not i % 2),
        (terms(of_suggestion("type"), "model"), lambda i: i % 6),
        (between(of_suggestion("score"), 0.25, 0.5), lambda i: i % 6 and 0.25 <= i / N <= 0.5),
    ],
)
def test_a_filter_finds_what_plain_python_finds_alone_and_beside_a_text(desk, condition, holds):
    asked = {"filters": {"and": [condition]}}
    assert set(desk.found(**asked)) == where(holds)
    assert set(desk.found(**asked, **text("refund"))) == where(lambda i: holds(i) and i % 3 == 0)
    assert set(desk.found(**asked, **text("-refund"))) == where(lambda i: holds(i) and i % 3)


@pytest.mark.parametrize("statuses", [["pending"], ["submitted"], ["draft", "discarded"], ["pending", "draft"]])
def test_response_statuses_are_the_askers_own_or_anybodys(desk, statuses):
    asked = {"filters": {"and": [terms(STATUS, *statuses)]}}
    mine = lambda who, i: desk.answers[who].get(i, ("pending",))[0]  # noqa: E731
    assert set(desk.found(desk.anna, **asked)) == where(lambda i: mine("anna", i) in statuses)
    assert set(desk.found(desk.owner, **asked)) == where(lambda i: mine("owner", i) in statuses)
    everyone = lambda i: {given[i][0] for given in desk.answers.values() if i in given} or {"pending"}  # noqa: E731
    assert set(desk.found(**asked)) == where(lambda i: everyone(i) & set(statuses))
    narrowed = desk.found(desk.anna, **asked, **text("refund"))
    assert set(narrowed) == where(lambda i: mine("anna", i) in statuses and i % 3 == 0)


def test_response_values_are_found_by_term_and_range_for_one_person_or_all(desk):
    anna, owner = desk.answers["anna"], desk.answers["owner"]
    low = {"filters": {"and": [between(of_response("stars"), 1, 2)]}}
    assert set(desk.found(desk.anna, **low)) == where(lambda i: i in anna and anna[i][1] <= 2)
    assert set(desk.found(**low)) == where(lambda i: i in owner or (i in anna and anna[i][1] <= 2))
    five = {"filters": {"and": [terms(of_response("stars"), "5")]}}
    assert set(desk.found(**five)) == where(lambda i: i in anna and anna[i][1] == 5)
    late = {"filters": {"and": [terms(of_response("tags"), "late", "wrong")]}}
    assert set(desk.found(**late)) == where(lambda i: i in anna and {"late", "wrong"} & set(anna[i][2]))


def test_several_filters_hold_together(desk):
    both = [terms(of_metadata("slice"), "refund"), between(of_metadata("tokens"), ge=100), terms(STATUS, "submitted")]
    expected = where(
        lambda i: i % 3 == 0 and i % 5 and i >= 10 and desk.answers["anna"].get(i, ("",))[0] == "submitted"
    )
    assert set(desk.found(desk.anna, filters={"and": both})) == expected


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize(
    ("scope", "value"),
    [
        (of_record("external_id"), lambda i: f"e{i:03}"),
        (of_metadata("tokens"), lambda i: i * 10 if i % 5 else None),
        (of_metadata("cost"), lambda i: i / 8 if i % 5 else None),
        (of_suggestion("score"), lambda i: i / N if i % 6 else None),
        (of_suggestion("agent"), lambda i: AGENTS[i % 2] if i % 6 else None),
    ],
)
def test_sorts_put_missing_values_last_and_ties_in_the_order_of_arrival(desk, scope, value, order):
    found = desk.found(sort=[{"scope": scope, "order": order}])
    have = [i for i in range(N) if value(i) is not None]
    expected = sorted(have, key=value, reverse=order == "desc")
    if order == "desc":
        expected = [i for v in sorted({value(i) for i in have}, reverse=True) for i in have if value(i) == v]
    assert found == expected + [i for i in range(N) if value(i) is None]


def test_a_sort_by_ratings_takes_the_mean_over_people_or_the_askers_own(desk):
    sort = [{"scope": of_response("stars"), "order": "desc"}]
    anna, owner = desk.answers["anna"], desk.answers["owner"]
    mean = {i: (anna[i][1] + owner[i][1]) / 2 if i in owner else anna[i][1] for i in anna}
    assert desk.found(sort=sort)[: len(anna)] == sorted(mean, key=lambda i: (-mean[i], i))
    assert desk.found(desk.anna, sort=sort)[: len(anna)] == sorted(anna, key=lambda i: (-anna[i][1], i))


def test_pages_make_up_the_whole_and_the_total_counts_all(desk):
    pages = [desk.search(limit=15, offset=at, **text("refund | login")) for at in (0, 15, 30)]
    whole = desk.found(**text("refund | login"))
    assert [desk.ids[item["record"]["id"]] for page in pages for item in page["items"]] == whole
    assert {page["total"] for page in pages} == {len(whole)}


def test_each_person_has_an_order_of_their_own_that_stays(desk):
    anna, owner = desk.found(desk.anna), desk.found(desk.owner)
    assert sorted(anna) == sorted(owner) == list(range(N))
    assert anna != owner
    assert anna != list(range(N))
    assert desk.found(desk.anna) == anna
    assert desk.found() == list(range(N))


def cosine(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))


def near(wanted: list[float], holds: Callable[[int], Any] = lambda _: True) -> list[int]:
    have = [i for i in range(N) if record(i)["vectors"] and holds(i)]
    return sorted(have, key=lambda i: -cosine(record(i)["vectors"]["meaning"], wanted))


def test_the_nearest_vectors_are_those_of_the_greatest_cosine(desk):
    wanted = [0.3, -0.2, 0.5]
    vector = {"vector": {"name": "meaning", "value": wanted}}
    answer = desk.search(limit=10, query=vector)
    assert [desk.ids[item["record"]["id"]] for item in answer["items"]] == near(wanted)[:10]
    assert answer["total"] == 10
    expected = [(1 + cosine(record(i)["vectors"]["meaning"], wanted)) / 2 for i in near(wanted)[:10]]
    assert [item["query_score"] for item in answer["items"]] == pytest.approx(expected, abs=1e-6)
    far = {"vector": {**vector["vector"], "order": "least_similar"}}
    assert desk.found(query=far) == near(wanted)[::-1]


def test_vectors_go_with_text_and_filters_and_a_record_is_not_like_itself(desk):
    own = record(8)["vectors"]["meaning"]
    record_id = next(record_id for record_id, i in desk.ids.items() if i == 8)
    like = {"name": "meaning", "record_id": record_id}
    assert desk.found(query={"vector": like}) == [i for i in near(own) if i != 8]
    narrowed = desk.found(
        query={"vector": like, **text("refund")["query"]}, filters={"and": [between(of_metadata("tokens"), ge=100)]}
    )
    assert narrowed == near(own, lambda i: i % 3 == 0 and i % 5 and i >= 10)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"query": {"vector": {"name": "meaning", "value": [1.0, 2.0]}}}, "has 2 numbers"),
        ({"filters": {"and": [between(of_record("inserted_at"), ge="yesterday")]}}, "ISO date"),
        ({"filters": {"and": [between(STATUS, ge=1)]}}, "by their status"),
        (text("a " * 1500), "shorten it"),
        (text("nowhere", field="nofield"), "nofield"),
    ],
)
def test_a_search_that_cannot_be_read_is_refused_in_words(desk, body, said):
    answer = desk.owner.post(f"/datasets/{desk.dataset}/records/search", json=body)
    assert answer.status_code == 422
    assert said in answer.text


def test_progress_counts_records_and_a_persons_own_responses(desk):
    done = where(lambda i: any(given.get(i, ("",))[0] == "submitted" for given in desk.answers.values()))
    progress = desk.owner.get(f"/datasets/{desk.dataset}/progress").json()
    assert (progress["total"], progress["completed"], progress["pending"]) == (N, len(done), N - len(done))
    statuses = [given[0] for given in desk.answers["anna"].values()]
    mine = desk.anna.get(f"/me/datasets/{desk.dataset}/metrics").json()["responses"]
    counted = {status: statuses.count(status) for status in ("submitted", "draft", "discarded")}
    assert mine == {"total": N, **counted, "pending": N - len(statuses)}


def test_metrics_count_terms_and_bound_numbers(desk):
    by_term: dict[str, int] = {}
    for i in range(N):
        for term in slices(i):
            by_term[term] = by_term.get(term, 0) + 1
    found = desk.owner.get(f"/metadata-properties/{desk.properties['slice']}/metrics").json()
    ranked = sorted(by_term.items(), key=lambda each: (-each[1], each[0]))
    assert found["values"] == [{"term": term, "count": n} for term, n in ranked]
    assert found["total"] == sum(by_term.values())
    tokens = desk.owner.get(f"/metadata-properties/{desk.properties['tokens']}/metrics").json()
    assert (tokens["min"], tokens["max"]) == (10, 390)
    cost = desk.owner.get(f"/metadata-properties/{desk.properties['cost']}/metrics").json()
    assert (cost["min"], cost["max"]) == (0.125, 4.875)


def whole(desk: Desk) -> list[Any]:
    """Answers of every kind, to be compared before and after something happened to the side file."""
    vector = {"vector": {"name": "meaning", "value": [0.3, -0.2, 0.5]}}
    asked = {"filters": {"and": [terms(of_metadata("slice"), "login")]}}
    return [desk.found(**text("refund")), desk.found(desk.anna), desk.found(query=vector), desk.found(**asked)]


@pytest.mark.parametrize(
    "harm", ["deleted", "garbled", "cut off", "emptied", "another layout", "all but the log deleted"]
)
def test_a_side_file_that_is_harmed_while_the_server_runs_is_built_anew(desk, harm):
    before = whole(desk)
    side = desk.folder / "search.db"
    if harm == "another layout":
        with closing(sqlite3.connect(side)) as conn:
            conn.execute("PRAGMA user_version = 77")
        renamed = side.with_suffix(".other")
        with closing(sqlite3.connect(side)) as old, closing(sqlite3.connect(renamed)) as new:
            old.backup(new)
        renamed.replace(side)
    elif harm == "all but the log deleted":
        side.unlink()
    else:
        for suffix in ("-wal", "-shm"):
            side.with_name(f"search.db{suffix}").unlink(missing_ok=True)
        content = {
            "deleted": None,
            "garbled": b"no database at all" * 999,
            "cut off": side.read_bytes()[:5000],
            "emptied": b"",
        }
        side.unlink()
        if content[harm] is not None:
            side.write_bytes(content[harm] or b"")
    assert whole(desk) == before


def test_a_side_file_that_fell_behind_the_truth_catches_up(desk):
    """As after a kill between Argilla's commit and the engine: rows are missing, stale, and too many."""
    before = whole(desk)
    key = desk.dataset.replace("-", "")
    with closing(sqlite3.connect(desk.folder / "search.db", timeout=30)) as conn, conn:
        conn.execute(f"DELETE FROM doc_{key} WHERE key % 3 = 0")
        conn.execute(f"DELETE FROM fts_{key} WHERE rowid % 3 = 0")
        conn.execute(f"DELETE FROM meta_{key} WHERE key % 3 = 0")
        conn.execute(f"UPDATE doc_{key} SET updated_at = '2020', words = x'00' WHERE key % 3 = 1")
        conn.execute(f"UPDATE fts_{key} SET c0 = 'old words' WHERE rowid % 3 = 1")
        conn.execute("UPDATE indexed SET n = n - 5 WHERE dataset_id = ?", (key,))
    assert sorted(whole(desk)[0]) == sorted(before[0])
    assert [sorted(found) for found in whole(desk)] == [sorted(found) for found in before]


def test_a_record_that_is_added_changed_or_deleted_is_found_so_at_once(desk):
    at = f"/datasets/{desk.dataset}/records"
    new = record(3) | {"external_id": "e900", "suggestions": []}
    new["fields"] = {**new["fields"], "answer": "zebra crossing"}
    made = posted(desk.owner, f"{at}/bulk", items=[new])["items"][0]["id"]
    find = lambda q: [item["record"]["id"] for item in desk.search(**text(q))["items"]]  # noqa: E731
    assert find("zebra") == [made]
    changed = {"external_id": "e900", "fields": {**new["fields"], "answer": "giraffe"}}
    assert desk.owner.put(f"{at}/bulk", json={"items": [changed]}).status_code == 200
    assert (find("zebra"), find("giraffe")) == ([], [made])
    assert desk.owner.delete(at, params={"ids": made}).status_code == 204
    assert find("giraffe") == []
    assert desk.search()["total"] == N


def test_neither_texts_nor_queries_are_in_the_log(desk):
    desk.search(**text("verysecretquery"))
    logged = "".join(path.read_text() for path in desk.folder.glob("*.log*"))
    assert "verysecretquery" not in logged
    assert "look after it" not in logged


PLANS = """
import sys
from clw_argilla import app  # builds the server's app, which the engine's imports need
from argilla_server.search_engine.base import MetadataFilterScope, Order, RangeFilter, ResponseFilterScope, TermsFilter
from clw_argilla import search, side, sync
index = sync.checked(sys.argv[1])
filters = {
    "metadata": RangeFilter(MetadataFilterScope("tokens"), ge=5),
    "response": TermsFilter(ResponseFilterScope(property="status"), ["pending", "submitted"]),
}
for name, filter in filters.items():
    for text in (None, "refund"):
        source = search.sources(side.connection(), index, text, filter)
        for statement in search.statements(index, source, None, None):
            values = [*statement.values, 10, 0][: statement.sql.count("?")]
            plan = side.connection().execute("EXPLAIN QUERY PLAN " + statement.sql, values)
            print(name, "text" if text else "all", "|", "; ".join(step for *_, step in plan))
"""


def test_the_planner_goes_from_the_words_to_the_records_and_looks_nothing_up_by_going_through_all(desk, argilla_server):
    python = str(process.installed(lambda _: None))
    run = subprocess.run(
        [python, "-c", PLANS, desk.dataset.replace("-", "")],
        cwd=argilla_server.home.folder,
        env=process._environment(argilla_server.home) | {"ARGILLA_AUTH_SECRET_KEY": "x"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    plans = [line.split(" | ") for line in run.stdout.splitlines() if " | " in line]
    assert len(plans) == 8
    for name, plan in plans:
        steps = plan.split("; ")
        if name.endswith("text"):
            assert "VIRTUAL TABLE INDEX" in steps[0], plan
            assert "SEARCH d USING INTEGER PRIMARY KEY" in steps[1], plan
            assert not any(step.startswith("SCAN") for step in steps[1:]), plan
            assert "by_meta" not in plan, plan
        else:
            assert steps[0].startswith(("SCAN d", "SEARCH d")), plan
            assert "CORRELATED" not in plan, plan
