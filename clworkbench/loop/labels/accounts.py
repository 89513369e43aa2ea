"""The annotators' accounts in Argilla: whose answers are whose, for good."""

import json
from collections.abc import Collection
from dataclasses import dataclass

from clworkbench.labels.answered import usernames
from clworkbench.labels.argilla import Argilla
from clworkbench.workspace import Workspace


@dataclass
class Accounts:
    """Keys of accounts. The first that one had stays its own, whatever it is called later and whoever asks.

    Attributes:
        keys: `annotator_key` by Argilla's id; one that is not there gets a key made of its id.
        noted: ids of those whose key was noted beside labels.
        there: ids of all that Argilla has; None where the key at hand may not list all: it is no owner's.
    """

    keys: dict[str, str]
    noted: set[str]
    there: Collection[str] | None

    @classmethod
    def of(cls, workspace: Workspace, argilla: Argilla) -> "Accounts":
        """The accounts as they were noted, and as they stand in Argilla."""
        sql = (
            "select json_extract(detail, '$.annotators') from batches"
            " where kind = 'labels' and json_extract(detail, '$.annotators') is not null order by seq"
        )
        noted: dict[str, str] = {}
        for (text,) in workspace.catalog.query(sql):
            noted = json.loads(str(text)) | noted
        names, are_all = usernames(argilla)
        named = {own: workspace.pseudonyms.user(name) for own, name in names.items()}
        return cls(named | noted, set(noted), names if are_all else None)

    def standing(self, heard: Collection[str]) -> Collection[str]:
        """Keys of those that stand for sure: by Argilla's list, else those (of `heard`) who were heard just now."""
        if self.there is None:
            return heard
        gone = {key for own, key in self.keys.items() if own not in self.there}
        return {*self.keys.values()} - gone  # also where somebody else has the name of one that is gone
