"""Audits of runs, gates and releases, on a loop that really went round on a tiny model."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clworkbench.audit.asked import asked
from clworkbench.audit.checks import AUDITS, audit
from clworkbench.audit.forget import forget
from clworkbench.files import sha256_file
from clworkbench.workspace import Workspace
from clworkbench.workspace.catalog import now

KINDS = ("run", "eval", "gate", "release")


@pytest.fixture(scope="module")
def turned(tiny_workspace: Path, tmp_path_factory) -> Workspace:
    """A copy of the workspace in which the loop went round, to be tampered with and mended again."""
    place = tmp_path_factory.mktemp("models") / "w"
    shutil.copytree(tiny_workspace, place)
    return Workspace(place)


@pytest.fixture
def copied(turned, tmp_path) -> Workspace:
    shutil.copytree(turned.folder, tmp_path / "w")
    return Workspace(tmp_path / "w")


def newest(workspace: Workspace, kind: str) -> str:
    return str(workspace.catalog.artefacts(kind)[-1]["id"])


def released(workspace: Workspace) -> tuple[str, str, str]:
    """The release, its run and its gate."""
    manifest = workspace.catalog.artefacts("release")[-1]
    return str(manifest["id"]), str(manifest["run"]), str(manifest["gate"])


def wrong(workspace: Workspace, artefact: str) -> dict[str, str]:
    """The checks that fail, and what they say."""
    return {check.name: check.detail for check in audit(workspace, artefact).checks if not check.ok}


def rewritten(workspace: Workspace, artefact: str, change: Callable[[dict[str, object]], object]) -> None:
    """Changes a manifest, the hashes in it and the catalog's copy, as somebody would who knows how."""
    folder = workspace.artefact_folder(artefact)
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    manifest["files"] = {name: sha256_file(folder / name) for name in manifest["files"]}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2, ensure_ascii=False))
    workspace.reindex()


def test_a_release_is_audited_with_its_gate_its_scores_its_run_and_its_training_set(turned):
    release, run, gate = released(turned)
    found = audit(turned, release)
    assert found.ok, found.lines()
    audited = {check.name.rpartition(" > ")[0].partition(":")[0] for check in found.checks}
    assert audited == {"", "run", "gate", "eval", "suite", "training_set"}
    assert f"{run} > adapter" in found.frame["name"].to_list()
    assert found.lines()[0] == f"{release}: all {len(found.checks)} checks hold"
    assert gate in found.lines()


def test_every_artefact_of_a_loop_that_went_round_passes(turned):
    for manifest in turned.catalog.artefacts():
        found = audit(turned, str(manifest["id"]))
        assert found.ok, found.lines()


@given(data=st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_byte_changed_anywhere_in_a_run_a_gate_or_a_release_is_found(turned, data):
    ids = [str(m["id"]) for kind in KINDS for m in turned.catalog.artefacts(kind)]
    artefact = data.draw(st.sampled_from(ids))
    path = data.draw(st.sampled_from(sorted(p for p in turned.artefact_folder(artefact).rglob("*") if p.is_file())))
    at = data.draw(st.integers(0, path.stat().st_size - 1))
    with path.open("r+b") as file:
        file.seek(at)
        before = file.read(1)
        file.seek(at)
        file.write(bytes([before[0] ^ data.draw(st.integers(1, 255))]))
    try:
        assert not all(check.ok for check in AUDITS[artefact.partition(":")[0]](turned, artefact))
    finally:
        with path.open("r+b") as file:
            file.seek(at)
            file.write(before)


def test_what_is_wrong_with_a_training_set_fails_the_run_and_the_release_that_rest_on_it(copied):
    release, run, _ = released(copied)
    data = next(p for p in copied.catalog.parents(run) if p.startswith("training_set:"))
    rows = copied.artefact_folder(data) / "rows.parquet"
    rows.write_bytes(rows.read_bytes()[:-1])
    assert set(wrong(copied, run)) == set(wrong(copied, release)) == {f"{data} > files"}


RUN_FORGERIES: dict[str, tuple[Callable[[dict[str, object]], object], str]] = {
    "losses": (lambda m: m["losses"].__setitem__(-1, 0.001), "losses"),
    "a loss less": (lambda m: m["losses"].pop(), "losses"),
    "a loss that is none": (lambda m: m["losses"].__setitem__(3, float("nan")), "losses"),
    "steps": (lambda m: m.update(steps=26), "losses"),
    "adapter": (lambda m: m.update(adapter_sha256="0" * 64), "adapter"),
    "base": (lambda m: m.update(base="pypi:another"), "settings"),
    "settings": (lambda m: m["settings"].update(seed=7), "settings"),
    "parent": (lambda m: m.update(parent="run:never"), "settings"),
    "rows": (lambda m: m.update(rows=9), "rows"),
    "training set": (lambda m: m.update(parents=["training_set:other@000000000000"]), "settings"),
    "no settings": (lambda m: m.pop("settings"), "manifest's form"),
}


@pytest.mark.parametrize("what", RUN_FORGERIES)
def test_a_run_whose_manifest_was_changed_with_all_hashes_and_the_catalog_is_found(copied, what):
    change, check = RUN_FORGERIES[what]
    run = released(copied)[1]
    rewritten(copied, run, change)
    assert check in wrong(copied, run)


def test_an_adapter_exchanged_together_with_all_hashes_is_found_by_what_training_wrote_down(copied):
    run = released(copied)[1]
    weights = copied.artefact_folder(run) / "adapter" / "adapter_model.safetensors"
    other = copied.artefact_folder(newest(copied, "run")) / "adapter" / "adapter_model.safetensors"
    shutil.copyfile(other, weights)
    rewritten(copied, run, lambda m: m.update(adapter_sha256=sha256_file(weights)))
    assert "other adapter_sha256" in wrong(copied, run)["training"]


def test_a_release_whose_gate_said_no_is_found(copied):
    release, _, gate = released(copied)
    blocked = next(m for m in copied.catalog.artefacts("gate") if m["decision"] == "block")
    assert wrong(copied, str(blocked["id"])) == {}
    file = copied.artefact_folder(release) / "gates.json"
    held = json.loads(file.read_text()) | {"decision": "block"}
    file.write_text(json.dumps(held, indent=2))
    rewritten(copied, gate, lambda m: m.update(decision="block"))
    rewritten(copied, release, lambda _: None)
    found = wrong(copied, release)
    assert "clw rollback" in found["decision"]
    assert "differ from what the scores give: decision" in found[f"{gate} > numbers"]


GATE_FORGERIES: dict[str, tuple[Callable[[dict[str, object]], object], set[str]]] = {
    "a mean": (lambda m: m["gates"][0].update(challenger=0.5), {"numbers"}),
    "a p": (lambda m: m["gates"][-1].update(p=0.001), {"numbers"}),
    "a verdict": (lambda m: m["gates"][1].update(verdict="violated"), {"numbers"}),
    "a gate less": (lambda m: m["gates"].pop(), {"numbers"}),
    "a gate more": (lambda m: m["gates"].append(m["gates"][0]), {"numbers"}),
    "a finding less": (lambda m: m.update(findings=[]), {"numbers"}),
    "a margin": (lambda m: m["rules"][1].update(margin=0.5), {"gates", "numbers"}),
    "the target": (lambda m: m.update(target="rest"), {"gates"}),
    "the hash": (lambda m: m.update(gates_sha256="0" * 64), {"gates before scores", "gate's name", "gates"}),
    "no rules": (lambda m: m.pop("rules"), {"numbers"}),
}


@pytest.mark.parametrize("what", GATE_FORGERIES)
def test_a_gate_whose_report_was_changed_with_all_hashes_and_the_catalog_is_found(copied, what):
    change, checks = GATE_FORGERIES[what]
    gate = released(copied)[2]
    rewritten(copied, gate, change)
    assert checks <= set(wrong(copied, gate)) <= checks | {"numbers"}


@pytest.mark.parametrize("key", ["n", "asked", "batch_id", "metrics", "slices"])
def test_an_evaluation_that_says_other_than_its_scores_is_found(copied, key):
    evaluation = newest(copied, "eval")
    rewritten(copied, evaluation, lambda m: m.update({key: {"n": 3, "batch_id": "0"}.get(key, {})}))
    assert set(wrong(copied, evaluation)) <= {"scores", "manifest's form"} != set()


def test_gates_that_were_changed_after_the_scores_were_seen_are_found(copied):
    gate = released(copied)[2]
    with copied.catalog.transaction() as db:
        db.execute("update batches set detail = replace(detail, 'gates_sha256\": \"', 'gates_sha256\": \"0')")
    assert "changed after the scores were seen" in wrong(copied, gate)["gates before scores"]


def test_a_release_that_never_served_or_took_another_place_is_found(copied):
    release = released(copied)[0]
    rewritten(copied, release, lambda m: m.update(replaces="release:never"))
    copied.catalog.set_champion("release:never", "by hand")
    copied.catalog.set_champion(release, "again")
    assert "release:never served and is no artefact" in wrong(copied, release)["history"]
    with copied.catalog.transaction() as db:
        db.execute("delete from champions")
    assert "never became the champion" in wrong(copied, release)["history"]


def test_a_card_that_does_not_name_the_run_is_found(copied):
    release = released(copied)[0]
    (copied.artefact_folder(release) / "card.md").write_text("# Model card\n")
    rewritten(copied, release, lambda _: None)
    assert "does not name run:" in wrong(copied, release)["card"]


OTHER = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9), lambda x: st.lists(x, max_size=3)
) | st.sampled_from([{}, {"a": None}, ["suite:a"], [{}], "training_set:none", "9" * 400, -1, 10**30])


def paths(value: object, here: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    """The ways to everything inside a manifest."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here, *(way for key, inner in inside for way in paths(inner, (*here, key)))]


def with_other(value: object, way: tuple[object, ...], other: object) -> object:
    """The same but for what stands at the end of the way."""
    if not way:
        return other
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[way[0]] = with_other(copy[way[0]], way[1:], other)
    return copy


@given(data=st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_manifest_in_which_anything_is_of_another_kind_never_ends_in_a_traceback(turned, data):
    kind = data.draw(st.sampled_from([*KINDS, "training_set", "suite"]))
    artefact = newest(turned, kind)
    manifest = turned.catalog.artefact(artefact)
    way = data.draw(st.sampled_from([way for way in paths(manifest) if way]))
    other = json.dumps(with_other(manifest, way, data.draw(OTHER)), indent=2, ensure_ascii=False)
    place = turned.artefact_folder(artefact) / "manifest.json"
    before = place.read_text()
    try:
        place.write_bytes(other.encode("utf-8", "surrogatepass"))
        known(turned, artefact, other)
        AUDITS[kind](turned, artefact)
    finally:
        place.write_text(before)
        known(turned, artefact, before)


def known(workspace: Workspace, artefact: str, manifest: str) -> None:
    """Gives the catalog another copy of a manifest."""
    plain = json.dumps(json.loads(manifest))
    with workspace.catalog.transaction() as db:
        db.execute("update artefacts set manifest = ? where id = ?", (plain, artefact))


def test_a_run_whose_rows_were_forgotten_since_is_named_and_the_set_in_its_place_passes(copied):
    release, run, _ = released(copied)
    learned = next(p for p in copied.catalog.parents(run) if p.startswith("training_set:"))
    signal = copied.rows(learned)["signal_ids"][0][0]
    forgotten = forget(copied, asked(now(), interactions=(signal,)))
    heir = audit(copied, learned)
    assert heir.ok, heir.lines()
    assert heir.id != learned
    for artefact in (run, release):
        found = wrong(copied, artefact)
        assert f"{heir.id} stands in its place" in found[f"{learned} > forgotten"]
    assert "forgotten since" in wrong(copied, run)["rows"]
    another = copied.rows(heir.id)["signal_ids"][0][0]
    forget(copied, asked(now(), interactions=(another,)))
    again = audit(copied, learned)
    assert again.ok, again.lines()
    for name in ("1", "2", str(forgotten.certificate)):
        assert audit(copied, name).ok
    forgotten.certificate.write_text(forgotten.certificate.read_text().replace('"number": 1', '"number": 7'))
    found = audit(copied, "1")
    assert "hash" in {check.name for check in found.checks if not check.ok}


def test_a_certificate_is_audited_where_there_is_no_workspace(copied, tmp_path):
    signal = copied.read("interactions")["interaction_id"][0]
    certificate = forget(copied, asked(now(), interactions=(signal,))).certificate
    elsewhere = shutil.copy(certificate, tmp_path)
    said = clw(tmp_path / "nowhere", "audit", str(elsewhere))
    assert (said.returncode, said.stderr) == (0, "")
    assert "✓ hash" in said.stdout
    nothing = clw(tmp_path / "nowhere", "audit", str(tmp_path / "none.json"))
    assert (nothing.returncode, "Traceback" in nothing.stderr) == (2, False)


def clw(workspace: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from clworkbench.cli import main; main()", *words]
    environment = os.environ | {"CLW_WORKSPACE": str(workspace)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_the_command_line_says_yes_no_or_that_there_is_no_such_thing(copied):
    release, run, _ = released(copied)
    said = clw(copied.folder, "audit", release)
    assert (said.returncode, said.stderr) == (0, "")
    assert "  ✓ decision" in said.stdout
    (copied.artefact_folder(run) / "training.json").unlink()
    told = clw(copied.folder, "audit", release, "--json")
    assert told.returncode == 1
    answer = json.loads(told.stdout)
    failed = [check for check in answer["checks"] if not check["ok"]]
    assert answer["ok"] is False
    assert [check["name"] for check in failed] == [f"{run} > files"]
    nothing = clw(copied.folder, "audit", "nobody")
    assert nothing.returncode == 2
    assert "no artefact and no certificate of that name" in nothing.stderr
    assert "Traceback" not in nothing.stderr
