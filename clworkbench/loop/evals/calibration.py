"""Whether a judge's scores may gate: by what was measured of the very same judge, less labels that count no more."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import polars as pl

from clworkbench.errors import SettingsError
from clworkbench.evals.judge_agreement import ALL, GRADES, LEAST_IN_SLICE, MOST_UNGRADED, fewest, measured, why_not
from clworkbench.loop.evals.judge import judge_of, judge_settings
from clworkbench.loop.evals.judge_agreement import graded_by_people
from clworkbench.releases.judges import JudgeStanding
from clworkbench.releases.protocol import RESERVED, Gate
from clworkbench.scorers.judge import Judge
from clworkbench.settings import JUDGE
from clworkbench.workspace import Workspace
from clworkbench.workspace.artefacts import tampered


def standings(
    workspace: Workspace, gates: Sequence[Gate], evaluations: Iterable[Mapping[str, object]]
) -> list[JudgeStanding]:
    """How each judge that these gates ask about stands with people.

    Args:
        workspace: where agreement is kept.
        gates: as they judge.
        evaluations: manifests of the scores that they judge.
    """
    metrics = sorted({gate.metric for gate in gates if gate.metric.startswith(JUDGE)})
    scored = list(evaluations)
    return [
        _standing(workspace, metric, sorted({g.slice for g in gates if g.metric == metric} - {*RESERVED}), scored)
        for metric in metrics
    ]


def _standing(
    workspace: Workspace, metric: str, slices: list[str], scored: Sequence[Mapping[str, object]]
) -> JudgeStanding:
    name = metric.removeprefix(JUDGE)
    try:
        judge, least = judge_of(workspace, name), judge_settings(workspace, name).min_kappa
    except SettingsError:
        return JudgeStanding(metric, "[judges] of clw.toml has none of that name, so nobody knows who graded")
    if not all(_by(each.get("asked"), metric) == judge.sha256 for each in scored):
        return JudgeStanding(
            metric,
            "some of these scores were imported, or given by another version of the judge, of which nothing is known. "
            "Evaluate with the judge as it stands",
        )
    if left_out := _ungraded(scored, metric):
        why = f"it gave no grade for {left_out}, perhaps the hard ones"
        return JudgeStanding(metric, f"{why}. Mend the rubric, raise max_new_tokens, or take another model")
    way_out = f"`clw judge agree {name}` measures it"
    kept = [each for each in workspace.catalog.artefacts("judge") if each.get("judge") == name]
    own = [each for each in kept if each.get("judge_sha256") == judge.sha256]
    if not own:
        why = "was measured for another version of it (model, rubric, scale)" if kept else "was never measured"
        return JudgeStanding(metric, f"its agreement with people {why}; {way_out}")
    return _measured(workspace, JudgeStanding(metric, None, str(own[-1]["id"])), judge, least, slices, way_out)


def _by(asked: object, metric: str) -> object:
    """By which judge an evaluation was scored; None where it does not say."""
    content = asked.get("scorer_content") if isinstance(asked, Mapping) else None
    return content.get(metric) if isinstance(content, Mapping) else None


def _ungraded(scored: Sequence[Mapping[str, object]], metric: str) -> str:
    """Of which answers the judge left more without a grade than it may; empty where of none."""
    told = []
    for each in scored:
        metrics = each.get("metrics")
        row = metrics.get(metric, {}) if isinstance(metrics, Mapping) else {}
        n, ungraded = row.get("n", 0), row.get("ungraded", 0)
        if ungraded > MOST_UNGRADED * (n + ungraded):
            told.append(f"{ungraded} of {n + ungraded} answers of {each['model']} on {each['suite']}")
    return " and ".join(told)


def _measured(
    workspace: Workspace, own: JudgeStanding, judge: Judge, least: float, slices: list[str], way_out: str
) -> JudgeStanding:
    """What still stands of a measurement: grades whose label was withdrawn, changed or forgotten since do not."""
    grades = kept_grades(workspace, str(own.agreement))
    if grades is None:
        return replace(own, refused=f"the files of {own.agreement} are not what was written; {way_out} again")
    people = graded_by_people(workspace, judge).rows
    still = grades.filter(pl.col("key").is_in(people["key"].implode()))
    lost = grades.height - still.height
    frame = measured(still, judge.ratings).frame
    rows = {row["slice"]: row for row in frame.iter_rows(named=True)}
    refused = why_not(rows[ALL], least, fewest(judge.ratings))
    if refused:
        since = f" ({lost} labels were withdrawn, changed or forgotten since)" if lost else ""
        return replace(
            own,
            refused=f"its agreement with people: {refused}{since}. Mend the rubric, take another model, or have more "
            f"answers labelled; {way_out} again",
        )
    found = {name: why_not(rows[name], least, LEAST_IN_SLICE) if name in rows else "not measured" for name in slices}
    return replace(own, doubtful={name: why for name, why in found.items() if why}, lost=lost)


def kept_grades(workspace: Workspace, artefact: str) -> pl.DataFrame | None:
    """The grades behind an agreement (`GRADES`); None where the files are not what was written."""
    manifest = workspace.catalog.artefact(artefact)
    folder = workspace.artefact_folder(artefact)
    if manifest is None or tampered(folder, manifest):
        return None
    return pl.read_ndjson(folder / "grades.jsonl", schema=GRADES)
