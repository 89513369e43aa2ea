"""Audits of training sets and suites: what is right passes, each rule that is broken is named, tampering is found."""

import json
import os
import random
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import clworkbench as clw
from clworkbench.audit.checks import AUDITS, audit
from clworkbench.audit.policy_kept import off_rate
from clworkbench.audit.report import AuditReport
from clworkbench.errors import ArtefactError
from clworkbench.workspace import Workspace
from clworkbench.workspace.artefacts import sha256_json

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
OWN = ("kind", "id", "created", "parents", "code_version", "config_sha256", "rows_sha256", "files", "policy_sha256")
KEY = bytes(range(1, 33))
"""One by which the last of the four users is held out, and no other."""

SETTINGS = """\
format = 1
[policy]
leaving = "patterns"
[sources.app]
format = "openai"
[outcomes]
corrected = { negative = "edited", positive = "accepted" }
[slices]
money = "text LIKE '%charged%'"
[training]
holdout = 0.25
"""


def chat(number: int) -> dict[str, object]:
    """An answer of one of four users; the even ones accepted, the odd ones edited."""
    at = START + timedelta(hours=number)
    said = {"name": "accepted"} if number % 2 == 0 else {"name": "edited", "improvement": f"better {number}"}
    return {
        "id": f"log:{number}",
        "created": at.isoformat(),
        "user": f"user {number % 4}",
        "messages": [
            {"role": "user", "content": f"question {number} of many" + (" charged" if number % 3 == 0 else "")},
            {"role": "assistant", "content": f"answer {number}"},
        ],
        "metadata": {"app": "desk" if number % 2 else "chat", "confidence": number / 40},
        "feedback": [said | {"origin": "operator", "at": (at + timedelta(minutes=5)).isoformat()}],
    }


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A workspace with one training set, one suite it was checked against and one that was frozen since."""
    with pytest.MonkeyPatch.context() as patch:
        place = tmp_path_factory.mktemp("audited")
        patch.setenv("CLW_CONFIG", str(place / "config"))
        workspace = Workspace.create(place / "w", settings=SETTINGS, key=KEY)
        log = place / "log.jsonl"
        log.write_text("".join(json.dumps(chat(number)) + "\n" for number in range(40)))
        clw.ingest(workspace, log, "app")
        freeze(workspace, "held", ["something else entirely", "question 39 of many charged"])
        made = clw.build(workspace, "main")
        freeze(workspace, "later", ["nobody asked this before"])
        yield workspace, made.id


def freeze(workspace: Workspace, name: str, asked: list[str]) -> dict[str, object]:
    path = workspace.folder.parent / f"{name}.jsonl"
    path.write_text("".join(json.dumps({"input": text, "expected": "fine"}) + "\n" for text in asked))
    return clw.freeze_suite(workspace, name, path)


def forged(
    built: tuple[Workspace, str],
    change: Callable[[pl.DataFrame], pl.DataFrame] = lambda rows: rows,
    policy: dict[str, object] | None = None,
    **about: object,
) -> dict[str, str]:
    """What an audit finds wrong with a set that was made by hand: whole, but by other rules than it says."""
    workspace, made = built
    manifest = workspace.catalog.artefact(made)
    rows = change(workspace.rows(made))
    told = {key: value for key, value in manifest.items() if key not in OWN}
    told["settings"] = told["settings"] | {"policy": told["settings"]["policy"] | (policy or {})}
    told |= {
        "policy_sha256": sha256_json(told["settings"]["policy"]),
        "splits": dict(rows["split"].value_counts().iter_rows()),
        "rules": dict(rows["rule"].value_counts().iter_rows()),
        "signals": rows.height + sum(told["dropped"].values()),
        "n_new": rows.filter(pl.col("split") == "train").height,
    } | about
    config = told["settings"]
    forgery = workspace.publish_rows("training_set", "forged", rows, config=config, about=told)
    try:
        found = audit(workspace, str(forgery["id"]))
        return {check.name: check.detail for check in found.checks if not check.ok}
    finally:
        shutil.rmtree(workspace.artefact_folder(str(forgery["id"])))
        with workspace.catalog.transaction() as db:
            db.execute("delete from artefacts where id = ?", (forgery["id"],))


def in_row(column: str, value: object) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """A change of one cell of the first row."""

    def change(rows: pl.DataFrame) -> pl.DataFrame:
        first = rows.head(1).with_columns(pl.Series(column, [value], dtype=rows.schema[column]))
        return pl.concat([first, rows.tail(-1)])

    return change


def user_says(text: str) -> list[dict[str, object]]:
    keys = ("role", "content", "tool_calls", "tool_call_id", "name", "parts")
    return [dict.fromkeys(keys) | {"role": "user", "content": text}]


def test_a_set_that_was_just_built_passes_every_check(built):
    workspace, made = built
    found = audit(workspace, "main")
    assert (found.id, found.ok) == (made, True), found.lines()
    counts = {check.name: check.n for check in found.checks}
    assert counts["waterfall"] == 40
    assert counts["lineage: interactions"] == counts["lineage: feedback"] == counts["version"] == 39
    assert set(found.as_dict()) == {"id", "ok", "checks"}
    assert set(found.as_dict()["checks"][0]) == {"name", "ok", "n", "detail"}
    assert found.frame.columns == ["name", "ok", "n", "detail"]
    assert repr(found) == f"AuditReport({made}: {len(found.checks)} checks hold)"


def test_a_forgery_that_changes_nothing_passes(built):
    assert forged(built) == {}


def test_a_suite_that_was_drawn_since_from_what_the_set_holds_out_is_no_leak(built):
    asked = in_row("prompt", user_says("nobody asked this before"))
    assert forged(built, lambda rows: asked(rows.sort("split"))) == {}


@pytest.mark.parametrize(
    ("change", "check", "says"),
    [
        (in_row("prompt", user_says("write to anna.schmidt@example.com")), "redaction", "EMAIL"),
        (in_row("group", "anna.schmidt@example.com"), "redaction", "EMAIL"),
        (in_row("prompt", user_says("Something ELSE, entirely!")), "leak", "leak_normalised"),
        (
            lambda rows: in_row("prompt", user_says("nobody asked this before"))(rows.sort("split", descending=True)),
            "leak: suites frozen since",
            "leak_exact",
        ),
        (in_row("prompt", user_says("I am [EMAIL_1a2b3c4d]")), "second tier", "1 rows carry marks of the tables"),
        (in_row("signal_ids", ["0" * 32]), "lineage: interactions", "1 ids of 1 rows are forgotten or gone"),
        (in_row("signal_ids", []), "lineage: interactions", "1 rows name no signal"),
        (in_row("feedback_ids", ["0" * 32]), "lineage: feedback", "forgotten or gone"),
        (in_row("label_ids", ["0" * 32]), "lineage: labels", "forgotten or gone"),
        (in_row("split", "elsewhere"), "split", "1 rows moved"),
        (lambda rows: rows.with_columns(group=pl.lit("all")), "groups", "1 groups stand on both sides"),
        (lambda rows: pl.concat([rows, rows.head(1)]), "once", "1 rows stand twice"),
        (lambda rows: rows.drop("weight"), "schema", "weight"),
        (lambda rows: rows.with_columns(pl.col("weight").cast(pl.Float32)), "schema", "weight"),
        (
            lambda rows: rows.with_columns(completion=pl.lit([{"role": "assistant", "content": "<|im_end|>"}])).cast(
                rows.schema
            ),
            "quality",
            "held_for_review",
        ),
    ],
)
def test_a_row_that_breaks_a_rule_is_named_with_the_rule(built, change, check, says):
    found = forged(built, change)
    assert says in found.get(check, ""), found


@pytest.mark.parametrize(
    ("policy", "check", "says"),
    [
        ({"exclude": [{"name": "desk", "where": "app = 'desk'"}]}, "excluded", "excluded by desk (1"),
        ({"exclude": [{"name": "quiet", "pattern": "question 7 "}]}, "excluded", "1 rows rest on signals"),
        ({"exclude": [{"name": "gone", "slice": "gone"}]}, "excluded", "its slice is no longer in [slices]"),
        ({"exclude": [{"name": "bad", "where": "nothing = 1"}]}, "excluded", "no column 'nothing'"),
        ({"sample": {"by": ["app"], "rate": 1.0, "rates": {"desk": 0.0}}}, "sampling", "were not drawn"),
        ({"quality": {"min_confidence": 0.5}}, "quality", "unsure_model"),
        ({"quality": {"verified": True}}, "quality", "unverified"),
        ({"caps": {"per_user": 9}}, "cap: user", "above 9 rows, the highest has 10"),
        ({"caps": {"burst": "PT18000S"}}, "cap: burst", "follow another of their user within 5:00:00"),
        ({"caps": {"per_user": 0}}, "policy", "none that this version reads"),
        ({"leaving": "presidio"}, "second tier", "the policy demands presidio, and patterns is recorded"),
        ({"redaction": "off"}, "second tier", "the policy demands off, and patterns is recorded"),
        ({"leaving": "nobody knows"}, "policy", "none that this version reads"),
    ],
)
def test_a_set_that_says_it_keeps_a_policy_which_it_does_not_is_found_out(built, policy, check, says):
    found = forged(built, policy=policy)
    assert says in found.get(check, ""), found


@pytest.mark.parametrize(("condition", "fails"), [("app = 'desk'", True), ("confidence >= 0", False)])
def test_a_set_that_says_it_kept_a_condition_which_it_did_not_is_found_out(built, condition, fails):
    workspace, made = built
    told = workspace.catalog.artefact(made)["settings"] | {"where": condition}
    assert set(forged(built, settings=told)) == ({"where"} if fails else set())


def test_a_cap_on_texts_counts_the_same_words_in_any_case(built):
    def change(rows: pl.DataFrame) -> pl.DataFrame:
        train = rows.filter(pl.col("split") == "train")
        two = train.head(2).with_columns(
            prompt=pl.Series([user_says("The same."), user_says("the SAME")], dtype=rows.schema["prompt"])
        )
        return pl.concat([two, train.tail(-2), rows.filter(pl.col("split") != "train")])

    assert "above 1 rows" in forged(built, change, policy={"caps": {"per_text": 1}})["cap: text"]
    assert forged(built, change, policy={"caps": {"per_text": 2}}) == {}


@pytest.mark.parametrize(
    ("about", "check", "says"),
    [
        ({"signals": 41}, "waterfall", "do not add up"),
        ({"splits": {"train": 39}}, "counts", "splits"),
        ({"rules": {}}, "counts", "rules"),
        ({"n_new": 40}, "counts", "n_new"),
        ({"policy_sha256": "0" * 64}, "policy", "its hash is not that of the policy"),
        ({"as_of": "2026-03-02T12:00:00+00:00", "event_time": True}, "as_of", "rest on what was not known at"),
        ({"as_of": "2026-03-02T12:00:00+00:00"}, "as_of", "rest on what was not known at"),
        ({"as_of": "whenever"}, "manifest's form", "is no time"),
        ({"dropped": {"a": "b"}}, "manifest's form", "Expected `int`, got `str`"),
        ({"checked_against": ["suite:gone@1"]}, "leak", "a suite cannot be read"),
    ],
)
def test_a_manifest_that_does_not_fit_the_rows_is_named(built, about, check, says):
    if "dropped" in about:
        about = about | {"signals": 39}
    found = forged(built, **about)
    assert says in found.get(check, ""), found


def test_an_excluding_rule_of_today_is_told_apart_from_those_that_the_set_was_built_by(built):
    workspace, made = built
    place = workspace.folder / "clw.toml"
    text = place.read_text()
    place.write_text(text + '[policy.exclude]\nmoney = { slice = "money" }\n')
    try:
        found = audit(workspace, made)
    finally:
        place.write_text(text)
    wrong = {check.name: check for check in found.checks if not check.ok}
    assert set(wrong) == {"today's policy"}
    assert wrong["today's policy"].n == 13
    assert "excluded by money (13)" in wrong["today's policy"].detail
    assert "clw build" in wrong["today's policy"].detail


def test_sampling_rates_are_checked_by_stratum_on_all_signals(workspace_of):
    workspace = workspace_of('[policy.sample]\nby = "app"\nrates = { desk = 0.5 }\n')
    found = audit(workspace, clw.build(workspace, "sampled").id)
    assert found.ok, found.lines()
    rates = next(check for check in found.checks if check.name == "sampling rates")
    assert rates.n == 2
    assert "chat: 20 of 20 at 1" in rates.detail


def test_right_sets_of_a_thousand_small_strata_pass_and_a_wrong_one_among_them_is_found():
    # At 0.05, 30 signals give 8 or more drawn once in 11,800 strata: among 1,000, in every 12th right set.
    chance = random.Random(5)
    told = pl.DataFrame({"n": [30] * 1000, "rate": [0.05] * 1000})
    for _ in range(100):
        drawn = pl.Series("drawn", [sum(chance.random() < 0.05 for _ in range(30)) for _ in range(1000)])
        assert off_rate(told.with_columns(drawn)).is_empty()
    wrong = told.with_columns(drawn=pl.Series([1] * 999 + [14]))
    assert off_rate(wrong)["drawn"].to_list() == [14]


def test_one_stratum_is_off_its_rate_where_chance_would_be_so_far_off_once_in_10_000_sets():
    # Of 14 at 0.5, none is drawn once in 16,384 sets, and all as often: 1/16,384 > 0.00005; of 15, 1/32,768 < 0.00005.
    told = pl.DataFrame({"n": [14, 15, 15, 9], "drawn": [0, 0, 15, 9], "rate": [0.5, 0.5, 0.5, 1.0]})
    assert [off_rate(told[row]).height for row in range(4)] == [0, 1, 1, 0]
    assert off_rate(told.clear()).is_empty()
    assert off_rate(pl.DataFrame({"n": [9, 9], "drawn": [8, 1], "rate": [1.0, 0.0]})).height == 2


@pytest.fixture
def workspace_of(tmp_path, monkeypatch) -> Callable[[str], Workspace]:
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))

    def make(policy: str) -> Workspace:
        workspace = Workspace.create(tmp_path / "w", settings=SETTINGS + policy, key=KEY)
        log = tmp_path / "log.jsonl"
        log.write_text("".join(json.dumps(chat(number)) + "\n" for number in range(40)))
        clw.ingest(workspace, log, "app")
        return workspace

    return make


@pytest.mark.parametrize(
    "policy",
    [
        '[policy.exclude]\ndesk = "app = \'desk\'"\nmoney = { slice = "money" }\n',
        "[policy.quality]\nmin_confidence = 0.5\nverified = false\nweigh = true\nmin_belief = 0.6\n",
        '[policy.caps]\nper_user = 3\nper_text = 1\nburst = "5h"\nbrigade = 5\n',
    ],
)
def test_a_set_that_was_built_under_a_policy_keeps_it(workspace_of, policy):
    workspace = workspace_of(policy)
    found = audit(workspace, clw.build(workspace, "main").id)
    assert found.ok, found.lines()


def test_a_set_built_as_of_a_time_passes_and_what_came_later_does_not_count(built):
    workspace, _ = built
    made = clw.build(workspace, "early", as_of=START + timedelta(hours=20), event_time=True)
    found = audit(workspace, made.id)
    assert found.ok, found.lines()
    assert made.built.frame.height < 22


# tampering


def artefacts_of(workspace: Workspace) -> list[str]:
    return [str(m["id"]) for kind in ("training_set", "suite") for m in workspace.catalog.artefacts(kind)]


def tampered_with(workspace: Workspace, artefact: str) -> AuditReport:
    found = audit(workspace, artefact)
    assert not found.ok
    for check in found.checks:
        assert check.ok or len(check.detail) > 20
    return found


@given(data=st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_byte_changed_anywhere_in_an_artefact_or_its_manifest_is_found(built, data):
    workspace, _ = built
    artefact = data.draw(st.sampled_from(artefacts_of(workspace)))
    files = sorted(path for path in workspace.artefact_folder(artefact).rglob("*") if path.is_file())
    path = data.draw(st.sampled_from(files))
    before = path.read_bytes()
    at = data.draw(st.integers(0, len(before) - 1))
    changed = bytearray(before)
    changed[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(changed)
    try:
        found = AUDITS[artefact.partition(":")[0]](workspace, artefact)
        assert not all(check.ok for check in found)
    finally:
        path.write_bytes(before)


def replaced(path: Path, content: bytes) -> None:
    path.write_bytes(content)


TAMPERING: dict[str, tuple[Callable[[Path], object], str]] = {
    "manifest gone": (lambda folder: (folder / "manifest.json").unlink(), "cannot be read"),
    "manifest no JSON": (lambda folder: replaced(folder / "manifest.json", b"{half"), "not JSON any more"),
    "manifest deep": (lambda folder: replaced(folder / "manifest.json", b"[" * 100_000), "not JSON any more"),
    "manifest a list": (lambda folder: replaced(folder / "manifest.json", b"[]"), "not a JSON object any more"),
    "manifest empty": (lambda folder: replaced(folder / "manifest.json", b""), "not JSON any more"),
    "manifest binary": (lambda folder: replaced(folder / "manifest.json", b"\xff\xfe\x00"), "not JSON any more"),
    "manifest reformatted": (
        lambda folder: replaced(folder / "manifest.json", json.dumps(json.loads(manifest_of(folder))).encode()),
        "the same values in other bytes",
    ),
    "rows truncated": (
        lambda folder: replaced(folder / "rows.parquet", (folder / "rows.parquet").read_bytes()[:-100]),
        "rows.parquet was changed",
    ),
    "rows gone": (lambda folder: (folder / "rows.parquet").unlink(), "rows.parquet is missing"),
    "rows a folder": (
        lambda folder: ((folder / "rows.parquet").unlink(), (folder / "rows.parquet").mkdir()),
        "rows.parquet is missing",
    ),
    "a file more": (lambda folder: replaced(folder / "notes.txt", b"mine"), "notes.txt was added"),
    "a hidden file more": (lambda folder: replaced(folder / ".hidden", b""), ".hidden was added"),
    "a folder more": (lambda folder: (folder / "more").mkdir(), "more was added"),
    "rows a link to the same bytes": (
        lambda folder: linked(folder / "rows.parquet"),
        "rows.parquet is a link",
    ),
    "manifest a link to the same bytes": (lambda folder: linked(folder / "manifest.json"), "is a link"),
    "folder a link": (lambda folder: linked(folder), "is a link"),
    "folder gone": (shutil.rmtree, "cannot be read"),
}


def manifest_of(folder: Path) -> str:
    return (folder / "manifest.json").read_text()


def linked(path: Path) -> None:
    """Moves what stands there elsewhere and links to it."""
    elsewhere = path.parent.parent.parent / f"elsewhere-{path.name}"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


@pytest.fixture
def copied(built, tmp_path) -> tuple[Workspace, str]:
    """A copy of the workspace to be tampered with."""
    shutil.copytree(built[0].folder, tmp_path / "copy")
    return Workspace(tmp_path / "copy"), built[1]


@pytest.mark.parametrize("how", TAMPERING)
def test_every_kind_of_tampering_is_found_in_clear_words(copied, how):
    workspace, made = copied
    tamper, says = TAMPERING[how]
    tamper(workspace.artefact_folder(made))
    found = tampered_with(workspace, made)
    assert any(says in check.detail for check in found.checks if not check.ok), found.lines()


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_said_so(copied):
    workspace, made = copied
    (workspace.artefact_folder(made) / "rows.parquet").chmod(0)
    assert "cannot be read" in str(tampered_with(workspace, made).checks)


@pytest.mark.parametrize("reindexed", [False, True])
def test_a_file_changed_together_with_its_hash_in_the_manifest_is_found_even_after_the_catalog_was_rebuilt(
    copied, reindexed
):
    workspace, made = copied
    folder = workspace.artefact_folder(made)
    rows = pl.read_parquet(folder / "rows.parquet")
    rows.with_columns(weight=pl.lit(9.0)).write_parquet(folder / "rows.parquet", statistics=False)
    from clworkbench.files import sha256_file

    manifest = json.loads(manifest_of(folder))
    manifest["files"]["rows.parquet"] = sha256_file(folder / "rows.parquet")
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2, ensure_ascii=False))
    if reindexed:
        workspace.reindex()
    wrong = {check.name for check in tampered_with(workspace, made).checks if not check.ok}
    assert wrong == ({"version"} if reindexed else {"manifest", "files"})


def test_rows_that_are_no_parquet_under_a_manifest_that_fits_are_named(copied):
    workspace, made = copied
    folder = workspace.artefact_folder(made)
    (folder / "rows.parquet").write_bytes(b"PAR1 nothing of the kind PAR1")
    from clworkbench.files import sha256_file

    manifest = json.loads(manifest_of(folder))
    manifest["files"]["rows.parquet"] = sha256_file(folder / "rows.parquet")
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2, ensure_ascii=False))
    workspace.reindex()
    assert "is no Parquet" in str(tampered_with(workspace, made).checks)


@pytest.mark.parametrize("key", ["files", "rows_sha256", "kind", "created", "settings", "dropped", "checked_against"])
def test_a_manifest_of_another_form_in_the_catalog_as_well_is_named(copied, key):
    workspace, made = copied
    manifest = workspace.catalog.artefact(made) | {key: 3}
    (workspace.artefact_folder(made) / "manifest.json").write_text(json.dumps(manifest, indent=2))
    workspace.catalog.add_artefact(manifest, f"training_sets/{made.partition(':')[2]}", [])
    tampered_with(workspace, made)


def test_another_edge_in_the_catalog_is_found(copied):
    workspace, made = copied
    with workspace.catalog.transaction() as db:
        db.execute("insert into edges values (?, 'run:never')", (made,))
    assert "other parents" in str(tampered_with(workspace, made).checks)


# names


def test_a_name_alone_is_the_newest_version_and_one_that_fits_several_kinds_is_refused_with_their_ids(built):
    workspace, made = built
    assert audit(workspace, "main").id == audit(workspace, made.removeprefix("training_set:")).id == made
    suite = freeze(workspace, "main", ["a suite of the same name"])
    try:
        with pytest.raises(ArtefactError, match=rf"several of that name.*{suite['id']}"):
            audit(workspace, "main")
        assert audit(workspace, "training_set:main").id == made
        assert audit(workspace, "suite:main").ok
    finally:
        shutil.rmtree(workspace.artefact_folder(str(suite["id"])))
        with workspace.catalog.transaction() as db:
            db.execute("delete from artefacts where id = ?", (suite["id"],))


@pytest.mark.parametrize(
    "name", ["nobody", "training_set:nobody", "", "../w", "7", "a/b", "main@" + "0" * 12, "x" * 300]
)
def test_a_name_that_leads_nowhere_says_what_there_is(built, name):
    with pytest.raises(ArtefactError, match="There: suite:held@"):
        audit(built[0], name)


def test_a_folder_that_the_catalog_does_not_know_is_audited_and_fails(copied):
    workspace, made = copied
    with workspace.catalog.transaction() as db:
        db.execute("delete from artefacts where id = ?", (made,))
    assert "the catalog knows no such artefact" in str(tampered_with(workspace, made).checks)


def test_what_the_report_shows_is_escaped(built):
    workspace, made = built
    found = AuditReport("<b>", audit(workspace, made).checks)
    assert "&lt;b&gt;" in found._repr_html_()
    assert "<b>" not in found._repr_html_()


def test_a_suite_passes_and_one_with_personal_data_or_excluded_texts_does_not(built):
    workspace, _ = built
    assert audit(workspace, "held").ok
    place = workspace.folder / "clw.toml"
    text = place.read_text()
    place.write_text(text.replace("[policy]", '[policy]\nredaction = "off"'))
    made = freeze(workspace, "leaky", ["I am anna.schmidt@example.com"])
    place.write_text(text + '[policy.exclude]\nconfidential = { pattern = "Schmidt|schmidt" }\n')
    try:
        wrong = {check.name: check.detail for check in audit(workspace, "leaky").checks if not check.ok}
    finally:
        place.write_text(text)
        shutil.rmtree(workspace.artefact_folder(str(made["id"])))
        with workspace.catalog.transaction() as db:
            db.execute("delete from artefacts where id = ?", (made["id"],))
    assert set(wrong) == {"redaction", "excluded texts"}
    assert "EMAIL" in wrong["redaction"]
