"""The record of rollouts: which release goes out, at which stage, since when and why; nothing in it ever changes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from clworkbench.workspace.catalog import Catalog, micros, moment

STARTED, ENDS = "start", ("close", "roll back")
"""The action that begins a rollout, and those that end it."""


class StageEvent(NamedTuple):
    """A stage was entered.

    Attributes:
        stage: the one that began (`full` or `rolled back` at the end).
        at: when.
        action: `start`, `advance`, `close` or `roll back`.
        why: in a sentence.
        detail: the evidence, as the decision had it; who, where a person decided.
    """

    stage: str
    at: datetime
    action: str
    why: str
    detail: dict[str, object]


@dataclass(frozen=True)
class Rollout:
    """A release on its way out.

    Attributes:
        release: the challenger's name.
        champion: the model that served before, and is the control.
        rules: `[rollout]` as it was when this began, ready for JSON: a rollout is judged by what was said before it.
        salt: conversations are shared out by it.
        events: all so far, in order; the first is the start.
    """

    release: str
    champion: str
    rules: Mapping[str, object]
    salt: bytes
    events: tuple[StageEvent, ...]

    @property
    def stage(self) -> str:
        """Where it stands."""
        return self.events[-1].stage

    @property
    def began(self) -> datetime:
        """When it began."""
        return self.events[0].at

    @property
    def stage_began(self) -> datetime:
        """When its present stage began."""
        return self.events[-1].at

    @property
    def ended(self) -> bool:
        """Whether it was closed or rolled back."""
        return self.events[-1].action in ENDS


def begin(
    catalog: Catalog,
    release: str,
    champion: str,
    *,
    stage: str,
    rules: Mapping[str, object],
    salt: bytes,
    at: datetime,
) -> None:
    """Writes the start of a rollout down: see `Rollout` for what it holds."""
    detail: dict[str, object] = {"champion": champion, "rules": dict(rules), "salt": salt.hex()}
    enter(catalog, release, StageEvent(stage, at, STARTED, f"{release} goes out against {champion}", detail))


def enter(catalog: Catalog, release: str, event: StageEvent) -> None:
    """Writes a stage down that was entered, or the end."""
    with catalog.transaction() as db:
        db.execute(
            "insert into rollouts (release, stage, at, action, why, detail) values (?, ?, ?, ?, ?, ?)",
            (release, event.stage, micros(event.at), event.action, event.why, json.dumps(event.detail, default=str)),
        )


def rollouts(catalog: Catalog) -> list[Rollout]:
    """All rollouts, the latest last. A release that went out twice stands twice."""
    found: list[Rollout] = []
    sql = "select release, stage, at, action, why, detail from rollouts order by seq"
    for release, stage, at, action, why, detail in catalog.query(sql):
        event = StageEvent(str(stage), moment(int(str(at))), str(action), str(why), json.loads(str(detail)))
        if event.action == STARTED:
            told = event.detail
            salt = bytes.fromhex(str(told["salt"]))
            found.append(Rollout(str(release), str(told["champion"]), told["rules"], salt, (event,)))  # type: ignore[arg-type]
        else:
            last = found.pop()
            found.append(Rollout(last.release, last.champion, last.rules, last.salt, (*last.events, event)))
    return found


def current_rollout(catalog: Catalog) -> Rollout | None:
    """The rollout that goes on, or None. It costs one short read: a server asks each second."""
    found = rollouts(catalog)
    return found[-1] if found and not found[-1].ended else None
