"""`clw alert`: asks the rules of clw.toml and tells each place once."""

import json
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING

import click

from clworkbench.cli.verb import known_at, say, workspace_option

if TYPE_CHECKING:
    from clworkbench.workspace import Workspace


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would be sent; send and note nothing.")
@click.option("--history", is_flag=True, help="Say what was told so far, where and when; ask nothing.")
@click.option(
    "--only-new", is_flag=True, help="Print what is told to stdout, and nothing else: cron then mails no more."
)
@click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON object on standard output.")
@known_at
@workspace_option
def alert(
    dry_run: bool, history: bool, only_new: bool, as_json: bool, as_of: datetime | None, event_time: bool,
    workspace: str,
) -> None:  # fmt: skip
    """Ask the rules of [alerts] and tell each place what it has not been told; exit status 1 while an alert stands.

    Rules stand in clw.toml, e.g. [alerts.rules.unhappy] with rate = "failure" and above = 0.2; a rule watches a rate,
    drift, budget, silence, labels or quarantine. Places stand in [alerts] to: stdout, file:PATH.jsonl, or webhook:NAME,
    whose address is in the environment variable NAME.

    The same alert is told again when the quiet period is over, when it got worse by the rule's step, or when it was
    resolved in between. What could not be sent is tried again by the next call.
    """
    from clworkbench.loop.alerts.alerts import telling
    from clworkbench.loop.alerts.sinks import write
    from clworkbench.workspace import Workspace

    if (as_of or event_time) and not dry_run:
        raise click.UsageError("--as-of and --event-time look back: only with --dry-run, which sends nothing.")
    place = Workspace(workspace)
    if history:
        _history(place, as_json=as_json)
        return
    with telling(place, send=not dry_run, as_of=as_of, event_time=event_time) as found:
        for why, missed in groupby(found.failed, key=lambda each: each.why):
            rules = ", ".join(each.rule for each in missed)
            say(f"{why} It is owed word of {rules}; the next call tries again.")
        for rule in found.frame.filter(state="cannot be asked")["rule"]:
            say(f"alert: the rule {rule} cannot be asked, so nobody hears of it. See why: `clw alert --dry-run`.")
        if as_json:
            click.echo(json.dumps(found.as_dict(), default=str, ensure_ascii=False))
        else:
            said = [sent.message for sent in found.sent if found.sends and sent.sink == "stdout"]
            for message in said:
                write(message)
            if not only_new:
                click.echo("\n".join(found.lines(but=[message.alert.rule for message in said])))
    if not found.is_well:
        raise click.exceptions.Exit(1)


def _history(place: "Workspace", *, as_json: bool) -> None:
    import polars as pl

    from clworkbench.display.text import table
    from clworkbench.workspace.alert_log import history

    found = history(place.catalog)
    if as_json:
        click.echo(json.dumps({"history": found.to_dicts()}, default=str, ensure_ascii=False))
    else:
        times = pl.col("at", "since", "until").dt.strftime("%Y-%m-%d %H:%M")
        click.echo(
            "\n".join(table(found.drop("says").with_columns(times))) if found.height else "Nothing was told yet."
        )


VERBS = [alert]
