"""`clw forget`: rows out of every table and all that was made of them, with a certificate."""

from datetime import datetime
from typing import TYPE_CHECKING

import click

from clworkbench.cli.verb import Answer, Moment, No, answers, say, workspace_option

if TYPE_CHECKING:
    from clworkbench.audit.forget import Forgotten
    from clworkbench.audit.plan import Plan

NOTHING = "nothing to forget: no row matches, and there is no certificate of nothing."


@click.command()
@click.option("--user", "users", multiple=True, metavar="U", help="All of a user: the name that the source reports.")
@click.option("--interaction", "interactions", multiple=True, metavar="ID", help="An interaction: our id, or its own.")
@click.option("--where", metavar="EXPR", help="What this SQL expression is true for.")
@click.option("--retention", is_flag=True, help="What is older than [policy] retention in clw.toml.")
@click.option("--as-of", type=Moment(), help="With --retention: count from then, not from now.")
@click.option("--dry-run", is_flag=True, help="Show what would go; change nothing.")
@click.option("--all", "everything", is_flag=True, help="Agree that no interaction is left.")
@workspace_option
@answers
def forget(
    users: tuple[str, ...],
    interactions: tuple[str, ...],
    where: str | None,
    retention: bool,
    as_of: datetime | None,
    dry_run: bool,
    everything: bool,
    workspace: str,
) -> Answer | No:
    """Forget rows: out of every table, file and log, and out of what was made of them.

    Training sets and suites are made again without the rows; runs, evaluations, gates and releases that the rows
    reached are named, with the last ancestor that is free of them. What is forgotten stays out, whatever export is read
    again. The certificate lies in certificates/ (`clw audit` checks it). Nobody else may work in the workspace
    meanwhile. After an interruption the same command ends it. Exit status 1: there is nothing to forget.
    """
    from clworkbench.audit import forget as forgetting
    from clworkbench.audit.asked import asked
    from clworkbench.audit.plan import plan
    from clworkbench.audit.scope import cutoff
    from clworkbench.workspace import Workspace
    from clworkbench.workspace.catalog import now

    if as_of and not retention:
        raise click.UsageError("--as-of goes with --retention: it says from when the days are counted.")
    place = Workspace(workspace)
    left_over = place.forgetting
    wanted = None
    if users or interactions or where or retention or left_over is None or dry_run:
        before = cutoff(as_of or now(), place) if retention else None
        wanted = asked(now(), users=users, interactions=interactions, where=where, before=before)
    if dry_run and wanted is not None:
        planned = plan(place, wanted)
        answer = planned.as_dict(), ["Nothing was changed. It would forget:", *_planned(planned)]
        return No((planned.as_dict(), [NOTHING])) if planned.is_empty else answer
    if left_over is not None:
        say(f"forget {left_over} was interrupted: it is ended first.")
    done = forgetting.forget(place, wanted, everything=everything, say=lambda step: say(f"  {step}"))
    return _nothing() if done is None else (done.as_dict(), _lines(done))


def _nothing() -> No:
    empty: dict[str, object] = {
        "certificate": None,
        "rows": {},
        "rebuilt": [],
        "removed": {},
        "tainted": [],
        "left": [],
    }
    return No((empty, [NOTHING]))


def _planned(planned: "Plan") -> list[str]:
    lines = [*_counts(planned.rows), *_beside_tables(planned.removed)]
    lines += [f"  {name}: made again without {n:,} rows" for name, (n, _) in planned.derived.sets.items()]
    lines += [f"  {path}: removed, or such rows taken out of it" for path in planned.derived.files()]
    return [*lines, *_reached(planned.tainted, planned.champion), *_left(planned.left)]


def _lines(done: "Forgotten") -> list[str]:
    told = done.told
    lines = ["Forgotten:", *_counts(told["rows"]), *_beside_tables(told["removed"])]  # type: ignore[arg-type]
    lines += [f"  {each['from']}: made again as {each['to']}" for each in told["rebuilt"]]  # type: ignore[attr-defined]
    lines += [f"  {path}: removed, or such rows taken out of it" for path in done.files]
    lines += [*_reached(told["tainted"], told["champion"]), *_left(done.left)]  # type: ignore[arg-type]
    return [*lines, f"Certificate: {done.certificate}"]


def _counts(rows: dict[str, int]) -> list[str]:
    return [f"  {n:>9,} rows of {table}" for table, n in rows.items() if n]


def _beside_tables(removed: dict[str, int]) -> list[str]:
    places = {"records": "records in Argilla", "answers": "answers in Argilla", "model_answers": "answers of models"}
    return [f"  {n:>9,} {said}" for kind, said in places.items() if (n := removed.get(kind))]


def _reached(tainted: list[dict[str, object]], champion: dict[str, object]) -> list[str]:
    if not tainted:
        return []
    lines = ["Learned from such rows, or was measured on them, and is not unlearned:"]
    lines += [f"  {each['id']}; clean before it: {each['clean_parent'] or 'nothing'}" for each in tainted]
    return [*lines, f"  {champion['model']} serves, and is among them."] if champion["tainted"] else lines


def _left(left: list[dict[str, object]]) -> list[str]:
    return ["Left to you:", *(f"  {each['path']}: {each['why']}" for each in left)] if left else []


VERBS = [forget]
