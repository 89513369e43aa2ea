"""`clw policy`: what may be kept and learned, and what that means for the data at hand."""

from datetime import datetime

import click

from clworkbench.cli.verb import Answer, Moment, answers, workspace_option
from clworkbench.display.text import table


@click.command()
@click.option("--measure", type=click.IntRange(1), metavar="N", help="Plant values into N of your texts; count misses.")
@click.option("--as-of", type=Moment(), metavar="TIME", help="Only what was known by then.")
@click.option("--event-time", is_flag=True, help="With --as-of: go by the events' dates, not by when they came in.")
@workspace_option
@answers
def policy(measure: int | None, as_of: datetime | None, event_time: bool, workspace: str) -> Answer:
    """Show what [policy] of clw.toml does to the data at hand: each rule, and how many signals it takes.

    `alone` counts the signals in which a rule holds by itself, `takes` what it takes out of a training set built now,
    after the rules before it. Nothing is changed.
    """
    from clworkbench.display.progress import progress_bar
    from clworkbench.loop.govern import measure_redaction
    from clworkbench.loop.signals.policy import AGREED, explain_policy
    from clworkbench.workspace import Workspace

    place = Workspace(workspace)
    found = explain_policy(place, as_of=as_of, event_time=event_time)
    chosen = place.settings.policy
    lines = [
        f"policy {found.sha256[:12]}: redaction {chosen.redaction}, what leaves: {chosen.leaving}, "
        f"retention {f'{chosen.retention.days} days' if chosen.retention else 'for ever'}",
        *(table(found.frame) if found.frame.height else ["no rule is declared; `clw init` shows the keys of [policy]"]),
        f"{found.signals:,} signals, {found.rows:,} rows could be learned now",
        *(f"remark: {remark}" for remark in found.remarks),
        *([f"{AGREED}:", *table(found.reliability)] if found.reliability.height else []),
    ]
    if measure is None:
        return found.as_dict(), lines
    with progress_bar("measure redaction") as advance:
        measured = measure_redaction(place, measure, advance=advance)
    told = {
        "kinds": measured.frame.to_dicts(),
        "left_high": measured.left_high,
        "unbounded": measured.unbounded,
        "missed": measured.missed.to_dicts(),
    }
    lines += [
        "redaction, on values that were planted into your texts:",
        *table(measured.frame),
        f"{measured.left}. {measured.assumes}",
        measured.tiers,
    ]
    return found.as_dict() | {"redaction": told}, lines


VERBS = [policy]
