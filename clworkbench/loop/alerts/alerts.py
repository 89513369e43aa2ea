"""Alerts: asks the rules of clw.toml, keeps a record of what stands, and tells each place once."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import NamedTuple

import polars as pl

from clworkbench.errors import AlertError, ClwError
from clworkbench.loop.alerts.alert import Alert, Kind, Message
from clworkbench.loop.alerts.finding import Finding, Known
from clworkbench.loop.alerts.report import FRAME, SERIES, Alerts, Failed, Quiet, Sent
from clworkbench.loop.alerts.rules import find, next_step
from clworkbench.loop.alerts.sinks import send as send_to
from clworkbench.settings import Rule
from clworkbench.workspace import Workspace, alert_log
from clworkbench.workspace.alert_log import OWED, Episode, Telling
from clworkbench.workspace.catalog import as_moment, now

STDOUT = "stdout"

WAIT_S = 600.0
"""How long a call waits for another one to be done."""


def alerts(
    workspace: Workspace, *, send: bool = False, as_of: datetime | None = None, event_time: bool = False
) -> Alerts:
    """What the rules of `[alerts]` find; with `send`, each place is told what it has not been told yet.

    Args:
        workspace: where the rules and the signals are.
        send: whether to tell the places of `[alerts] to`, and to keep the record of it.
        as_of: the time that windows end at and quiet periods are counted to, and by which things were known; the
            present when None.
        event_time: goes by the events' dates, not by when they were committed.

    Raises:
        SettingsError: clw.toml says something that means nothing.
        LeaseError: another call is still sending.
    """
    with telling(workspace, send=send, as_of=as_of, event_time=event_time) as found:
        if send:
            for sent in found.sent:
                if sent.sink == STDOUT:
                    send_to(STDOUT, sent.message, workspace.folder)
    return found


@contextmanager
def telling(
    workspace: Workspace, *, send: bool, as_of: datetime | None = None, event_time: bool = False
) -> Iterator[Alerts]:
    """`alerts`, but what goes to standard output is left to the block: it counts as told once the block is done.

    A message is noted as told after it was sent: a kill in between repeats it, and none is lost.
    """
    settings = workspace.settings.alerts
    with workspace.lease("alerts", "alert", wait_s=WAIT_S) if send else nullcontext():
        at = now() if as_of is None else as_moment(as_of).astimezone(UTC)
        known = Known(workspace, at, event_time)
        found = {rule.name: _asked(rule, known) for rule in settings.rules}
        with workspace.catalog.transaction():
            change = _changes(workspace, settings.rules, found, at)
            if send:
                _note(workspace, change, settings.to, at)
        episodes = _episodes(workspace, change, at)
        due, quiet = _due(workspace, settings.rules, episodes, settings.to, at)
        sent, failed = _sent(workspace, due, episodes) if send else (due, [])
        yield Alerts(
            tuple(change.standing), _frame(settings.rules, found, change.standing), tuple(sent), tuple(quiet),
            tuple(alert for _, alert in change.ended), tuple(failed), _series(settings.rules, found), send,
        )  # fmt: skip
        for each in sent if send else ():
            if each.sink == STDOUT:
                _tell(workspace, each, episodes)


# what stands


def fingerprint(rule: Rule) -> str:
    """The same for the same rule, kind and slice: what makes two alerts the same one."""
    parts = [rule.name, _watches(rule), getattr(rule, "slice", None)]
    return blake2b(json.dumps(parts).encode(), digest_size=8).hexdigest()


def _watches(rule: Rule) -> str:
    return str(rule.__struct_config__.tag)


def _asked(rule: Rule, known: Known) -> Finding:
    """What a rule finds; where it cannot be asked, why, and the others are asked all the same."""
    try:
        return find(rule, known)
    except ClwError as error:
        return Finding("cannot be asked", str(error))


def _alert(rule: Rule, finding: Finding, since: datetime, *, until: datetime | None = None) -> Alert:
    return Alert(
        rule.name, _watches(rule), rule.severity, getattr(rule, "slice", None), finding.says, since, fingerprint(rule),
        finding.value, finding.low, dict(finding.figures), next_step(rule), until,
    )  # fmt: skip


class _Change(NamedTuple):
    """What the findings make of what stood: the alerts that stand now, and those that do no longer."""

    standing: list[Alert]
    ended: list[tuple[Episode, Alert]]


def _changes(workspace: Workspace, rules: Sequence[Rule], found: Mapping[str, Finding], at: datetime) -> _Change:
    stood = {episode.fingerprint: episode for episode in alert_log.standing(workspace.catalog)}
    standing, ended = [], []
    for rule in rules:
        finding, episode = found[rule.name], stood.pop(fingerprint(rule), None)
        if finding.state == "stands" or (episode and finding.state == "between"):
            since = episode.opened_at if episode else min(finding.since or at, at)
            standing.append(_alert(rule, finding, since))
        elif episode and finding.state == "clear":
            ended.append((episode, _alert(rule, finding, episode.opened_at, until=at)))
        elif episode:
            standing.append(_unsure(episode, finding))
    for episode in stood.values():
        gone = replace(Alert.of(episode.alert), says="clw.toml does not ask for it any more", until=at)
        ended.append((episode, gone))
    return _Change(standing, ended)


def _unsure(episode: Episode, finding: Finding) -> Alert:
    """An alert of which nothing can be told now goes on standing as it was found last."""
    last = Alert.of(episode.alert)
    why = " (cannot be told now: " + ("the rule " if finding.state == "cannot be asked" else "") + finding.state + ")"
    return replace(last, says=last.says.removesuffix(why) + why)


def _note(workspace: Workspace, change: _Change, to: Sequence[str], at: datetime) -> None:
    """Writes down what stands and what does no longer, before anything is sent."""
    catalog = workspace.catalog
    for alert in change.standing:
        alert_log.note(catalog, alert.fingerprint, alert.as_dict(), since=alert.since, at=at, to=to)
    for episode, alert in change.ended:
        alert_log.end(catalog, episode.number, alert.as_dict(), at)


def _episodes(workspace: Workspace, change: _Change, at: datetime) -> dict[str, Episode]:
    """The last episode of each alert with the change made, also where it was not noted; a new one is number 0 then."""
    last = alert_log.latest(workspace.catalog)
    for episode, alert in change.ended:
        last[episode.fingerprint] = episode._replace(ended_at=at, alert=alert.as_dict())
    for alert in change.standing:
        before = last.get(alert.fingerprint)
        number = before.number if before and before.ended_at is None else 0
        last[alert.fingerprint] = Episode(number, alert.fingerprint, alert.since, None, alert.as_dict())
    return last


# who is told


def _due(
    workspace: Workspace, rules: Sequence[Rule], episodes: Mapping[str, Episode], to: Sequence[str], at: datetime
) -> tuple[list[Sent], list[Quiet]]:
    """What each place has to hear now, and what it has heard."""
    quiet, steps = workspace.settings.alerts.quiet, {fingerprint(rule): rule for rule in rules}
    due, silent = [], []
    for episode in episodes.values():
        alert, told = Alert.of(episode.alert), alert_log.told(workspace.catalog, episode.number)
        for sink in to:
            last = told.get(sink)
            kind = _kind(alert, last, steps.get(episode.fingerprint), at, quiet)
            if kind is not None:
                due.append(Sent(sink, Message(kind, alert, at)))
            elif last is not None and alert.until is None:
                silent.append(Quiet(alert.rule, sink, last.at + quiet))
    return due, silent


def _kind(alert: Alert, last: Telling | None, rule: Rule | None, at: datetime, quiet: timedelta) -> Kind | None:
    """What a place is told of an alert after what it was told last; None where it hears nothing."""
    if alert.until is not None:
        return "resolved" if last is not None and last.kind != "resolved" else None
    if last is None or last.kind == OWED:
        return "alert"
    if at >= last.at + quiet:
        return "again"
    return "worse" if _is_worse(alert, last, rule) else None


def _is_worse(alert: Alert, last: Telling, rule: Rule | None) -> bool:
    """Whether it is higher than when it was told by the rule's step, and shown to be higher at all."""
    step = 1.0 if alert.watches == "drift" else getattr(rule, "worse_by", None)
    before = last.alert.get("value")
    if step is None or alert.value is None or not isinstance(before, int | float):
        return False
    return alert.value >= before + step and (alert.low is None or alert.low > before)


def _sent(
    workspace: Workspace, due: Sequence[Sent], episodes: Mapping[str, Episode]
) -> tuple[list[Sent], list[Failed]]:
    """Sends all but what goes to standard output; a place that fails is not tried again in this call."""
    sent: list[Sent] = []
    failed: dict[str, str] = {}
    missed: list[Failed] = []
    for each in due:
        if each.sink != STDOUT and each.sink not in failed:
            try:
                send_to(each.sink, each.message, workspace.folder)
                _tell(workspace, each, episodes)
            except AlertError as error:
                failed[each.sink] = str(error)
        if each.sink in failed:
            missed.append(Failed(each.message.alert.rule, each.sink, failed[each.sink]))
        else:
            sent.append(each)
    return sent, missed


def _tell(workspace: Workspace, sent: Sent, episodes: Mapping[str, Episode]) -> None:
    alert = sent.message.alert
    number = episodes[alert.fingerprint].number
    alert_log.tell(workspace.catalog, number, sent.sink, sent.message.kind, alert.as_dict(), sent.message.at)


# what it looks like


def _frame(rules: Sequence[Rule], found: Mapping[str, Finding], standing: Sequence[Alert]) -> pl.DataFrame:
    """`FRAME`, a row for each rule."""
    since = {alert.rule: alert.since for alert in standing}
    rows = []
    for rule in rules:
        finding = found[rule.name]
        told = (finding.state, finding.value, finding.low, finding.says, since.get(rule.name))
        rows.append((rule.name, _watches(rule), getattr(rule, "slice", None), rule.severity, *told))
    return pl.DataFrame(rows, schema=FRAME, orient="row")


def _series(rules: Sequence[Rule], found: Mapping[str, Finding]) -> pl.DataFrame:
    """`SERIES`, the days of the rules on rates."""
    parts = [pl.DataFrame(schema=SERIES)]
    for rule in rules:
        finding = found[rule.name]
        if finding.days is not None:
            named = finding.days.with_columns(
                rule=pl.lit(rule.name), above=pl.lit(getattr(rule, "above", None), pl.Float64)
            )
            parts.append(named.select(SERIES.names()).cast(SERIES))
    return pl.concat(parts)
