"""`clw gate`, `release` and `rollback`: verbs about what production serves."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from clworkbench.cli.verb import Answer, No, answers, recorded, said, workspace_option
from clworkbench.display.text import table
from clworkbench.errors import EvidenceError

if TYPE_CHECKING:
    from clworkbench.releases.report import GateReport
    from clworkbench.workspace import Workspace

COLUMNS = ("name", "required", "n", "champion", "challenger", "difference", "low", "high", "p", "verdict", "needed")


@click.command()
@click.argument("challenger", required=False)
@click.option("--against", metavar="CHAMPION", help="The model that serves now, when left out.")
@click.option("--suite", metavar="SUITE", help="One suite only; those of [evals] when left out.")
@click.option("--plan", "plan_only", is_flag=True, help="Run nothing: say what the suites at hand could show.")
@click.option(
    "--drill",
    "drill_only",
    is_flag=True,
    help="Plant regressions into CHALLENGER's (or the champion's) scores and see each blocked.",
)
@click.option(
    "--gates-from",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Judge by this clw.toml's gates, such as the base branch's, not by the workspace's own.",
)
@click.option("--markdown", is_flag=True, help="Print the report as Markdown, for a summary in CI.")
@workspace_option
@answers
def gate(
    challenger: str | None,
    against: str | None,
    suite: str | None,
    gates_from: Path | None,
    markdown: bool,
    plan_only: bool,
    drill_only: bool,
    workspace: str,
) -> Answer | No:
    """Hold CHALLENGER against the champion: promote, hold or block (exit status 1 unless promote)."""
    from clworkbench.display.progress import progress_bar
    from clworkbench.loop.releases import ship
    from clworkbench.records.calls import keep_call
    from clworkbench.releases.card import evidence
    from clworkbench.workspace import Workspace
    from clworkbench.workspace.catalog import now

    place, began = Workspace(workspace), now()
    if gates_from is not None and (plan_only or drill_only):
        raise click.UsageError("--gates-from judges a challenger: leave --plan and --drill out.")
    if plan_only:
        planned = ship.power(place, suite)
        says = (
            "Power: the chance that a challenger truly 2 points better is shown so, if 20 % of the pairs differ.",
            "Smallest detectable: what is shown with probability 0.8; needed: the examples for 2 points.",
        )
        return {"plan": planned.to_dicts()}, [*says, *table(planned)]
    if drill_only:
        return _drilled(place, challenger, suite)
    if challenger is None:
        raise click.UsageError("name the challenger, e.g. `clw gate run:ID`; `clw status` lists runs.")
    with progress_bar("evaluate") as advance:
        held = ship.gate(place, challenger, against=against, suite=suite, gates_from=gates_from, advance=advance)
    report = held.report
    lines = [evidence(report, title=f"Gate: {report.decision}")] if markdown else _told(report)
    given = {"against": against, "suite": suite}
    kept = None
    if gates_from is None:  # in CI the workspace is a copy, which is thrown away
        kept = keep_call(place, "gate", challenger, began=began, shown=held, options=given)
    answer = held.as_dict() | said(kept), [*lines, *([] if markdown else recorded(kept))]
    return answer if report.decision == "promote" else No(answer)


def _told(report: "GateReport") -> list[str]:
    return [
        f"{report.decision.upper()}: {report.challenger} against {report.champion}",
        f"{report.reason()}.",
        "Differences: challenger minus champion, with their 90 % interval; needed: examples more to settle it.",
        *table(report.gates.select(c for c in COLUMNS if c in report.gates.columns)),
        *report.over_traffic(),
        *(f"finding {kind}: {detail}" for kind, detail in report.findings.iter_rows()),
    ]


def _drilled(place: "Workspace", model: str | None, suite: str | None) -> Answer | No:
    """Yes where every planted regression was blocked, and each gate blocks some."""
    from clworkbench.display.progress import progress_bar
    from clworkbench.loop.releases import ship

    with progress_bar("evaluate") as advance:
        found = ship.drill(place, model, suite=suite, advance=advance)
    lines = [
        f"Regressions planted into the scores of {found.model}: from which size on each is blocked, by which gates.",
        *table(found.table()),
        *(f"unproven: no planted regression was blocked by gate {name!r}" for name in found.unproven),
    ]
    answer = found.as_dict(), lines
    return answer if found.proven else No(answer)


@click.command()
@click.argument("run")
@click.option("--initial", is_flag=True, help="The very first release: nothing serves yet to be held against.")
@click.option("--staged", is_flag=True, help="By the stages of [rollout]: shadow, then a growing share of the traffic.")
@workspace_option
@answers
def release(run: str, initial: bool, staged: bool, workspace: str) -> Answer | No:
    """Release RUN when its gate says promote; it is the champion from then on, or once its last stage is passed."""
    from clworkbench.loop.releases import ship
    from clworkbench.workspace import Workspace

    try:
        made = ship.release(Workspace(workspace), run, initial=initial, staged=staged)
    except EvidenceError as error:
        return No(({"release": None, "why": str(error)}, [str(error)]))
    if staged:
        lines = [
            f"{made.id} goes out: stage {made.stage}. {made.champion} serves beside it.",
            "`clw serve` shares the traffic out and moves it on; `clw rollout status` says what is missing.",
        ]
        return made.as_dict(), lines
    return made.as_dict(), [f"{made.id} serves now. Its card and its gates lie in releases/."]


@click.command()
@click.option("--why", default="", help="The reason; it is kept with the record.")
@workspace_option
@answers
def rollback(why: str, workspace: str) -> Answer:
    """Take the challenger of a rollout back; without one, serve the release before the present one again.

    A running `clw serve` follows within a second or two, and no request is lost.
    """
    from clworkbench.loop.releases import ship
    from clworkbench.workspace import Workspace

    made = ship.rollback(Workspace(workspace), why)
    if made.stage == "full":
        return made.as_dict(), [f"{made.id} serves again."]
    return made.as_dict(), [f"{made.id} was taken back; {made.champion} serves alone."]


VERBS = [gate, release, rollback]
