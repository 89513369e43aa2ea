"""What is asked to be forgotten: users, interactions, rows that an expression names, or what is too old."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from clworkbench.errors import ForgetError
from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.workspace.catalog import micros

_KEY = re.compile(r"[0-9a-f]{32}")

By = Literal["user", "interaction", "where", "retention"]


@dataclass(frozen=True)
class Asked:
    """What is to be forgotten.

    Attributes:
        by: how it is named.
        values: users (their own names, or keys), ids, or the expression; none for retention.
        at: until when a user's rows go, and with them what an export from before brings again.
        before: for retention, everything older than this.
    """

    by: By
    values: tuple[str, ...]
    at: datetime
    before: datetime | None = None

    def keys(self, pseudonyms: Pseudonyms) -> list[str]:
        """The keys of the users that are named by their own names."""
        return sorted({pseudonyms.user(name) for name in self.values}) if self.by == "user" else []

    def may_be_keys(self) -> list[str]:
        """The names that look like a user's key; they are one only where the tables know it."""
        return [name for name in self.values if self.by == "user" and _KEY.fullmatch(name)]

    def told(self, pseudonyms: Pseudonyms) -> dict[str, object]:
        """What a certificate says was asked: hashes that only the workspace's key makes again, and no name."""
        if self.before is not None:
            return {"by": self.by, "before": self.before.isoformat()}
        hashes = sorted(pseudonyms.id(f"asked {self.by}", value) for value in self.values)
        return {"by": self.by, "n": len(hashes), "keyed_sha": hashes}


def asked(
    at: datetime,
    *,
    users: tuple[str, ...] = (),
    interactions: tuple[str, ...] = (),
    where: str | None = None,
    before: datetime | None = None,
) -> Asked:
    """What is asked, said in one of the four ways.

    Raises:
        ForgetError: none of them, or several at once, or an empty name.
    """
    ways: dict[By, tuple[str, ...]] = {"user": users, "interaction": interactions, "where": (where,) if where else ()}
    given: list[By] = [by for by, values in ways.items() if values] + (["retention"] if before else [])
    if len(given) != 1:
        said = " and ".join(given) or "nothing"
        raise ForgetError(f"forget: {said} was named. Name one of --user, --interaction, --where and --retention.")
    values = ways.get(given[0], ())
    if "" in (value.strip() for value in values):
        raise ForgetError(f"forget: an empty {given[0]}. Name whom or what to forget.")
    if before is not None and micros(before) > micros(at):
        raise ForgetError(f"forget: {before.isoformat()} is still to come. Nothing is too old for that yet.")
    return Asked(given[0], values, at, before)
