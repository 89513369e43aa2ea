"""The ids of what goes."""

from dataclasses import dataclass

import polars as pl

from clworkbench.policy.pseudonyms import Pseudonyms


@dataclass(frozen=True)
class Gone:
    """Ids of what goes.

    Attributes:
        interactions, feedback, labels: their ids.
        users: keys of users.
        pseudonyms: of the workspace.
        aliases: keys of what redaction makes of the users' own names.
    """

    interactions: pl.Series
    feedback: pl.Series
    labels: pl.Series
    users: pl.Series
    pseudonyms: Pseudonyms
    aliases: tuple[str, ...] = ()

    def tokens(self) -> set[bytes]:
        """All of them, as they would stand in a file."""
        every = (self.interactions, self.feedback, self.labels, self.users)
        return {own.encode() for series in every for own in series}

    def theirs(self, groups: pl.Series) -> pl.Series:
        """Those of these groups that name a user or an interaction that goes: by key, or a user's own name."""
        ids, users = {*self.users, *self.interactions}, {*self.users, *self.aliases}
        named = [name for name in groups if name in ids or (users and self.pseudonyms.user(name) in users)]
        return pl.Series("group", named, pl.String)
