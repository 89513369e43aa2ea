"""Leaving: texts as annotators, suites and training may see them: looked at twice, and with marks that tell nothing."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from clworkbench.display.progress import Advance, silent
from clworkbench.policy.numbering import numbered
from clworkbench.policy.presidio import SecondTier, clear, described, tier
from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.policy.redaction import MESSAGE_COLUMNS, redact, redact_text
from clworkbench.schemas import MESSAGES
from clworkbench.workspace import Workspace


@dataclass(frozen=True)
class Door:
    """What all texts pass that leave the tables.

    Attributes:
        pseudonyms: the workspace's.
        redacts: whether anything is redacted at all.
        second: the second tier; None where only the patterns of ingest are used.
        taken: values taken out so far, by kind; those of messages, and those of the second tier.
    """

    pseudonyms: Pseudonyms
    redacts: bool
    second: SecondTier | None
    taken: Counter[str] = field(default_factory=Counter)

    def clear(self, frame: pl.DataFrame, columns: Sequence[str], advance: Advance = silent) -> pl.DataFrame:
        """The rows with their texts and messages in these columns as they may leave; others stay as they are."""
        if not self.redacts:
            return frame
        frame = self._by_patterns(frame, columns)
        if self.second is not None:
            frame, taken = clear(frame, columns, self.second, self.pseudonyms, advance)
            self.taken.update(taken)
        return numbered(frame, columns)

    def schemas(self, tools: pl.Series) -> pl.Series:
        """Schemas of tools (JSON) as they may leave; names of functions, which a second tier could take, stay."""
        if not self.redacts or not len(there := tools.drop_nulls().unique()):
            return tools
        clean = numbered(redact_text(there, self.pseudonyms))
        return tools.replace(there, clean)

    def _by_patterns(self, frame: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
        """The first tier again: rows may have come in while it was off, or knew less. Marks stay as they are."""
        talks = [name for name in columns if frame.schema[name] == MESSAGES]
        known_as = dict(zip(talks, MESSAGE_COLUMNS, strict=False))
        talk, counts = redact(frame.select(talks).rename(known_as), self.pseudonyms)
        self.taken.update(counts)
        plain = [name for name in columns if name not in talks]
        texts = [redact_text(frame[name], self.pseudonyms) for name in plain]
        return frame.with_columns(*talk.rename({told: name for name, told in known_as.items()}), *texts)

    def as_dict(self) -> dict[str, object]:
        """What looked at the texts and what it took, for manifests."""
        looked = described(self.second) if self.redacts else {"engine": "off"}
        return {**looked, "taken": dict(sorted(self.taken.items()))}


def door(workspace: Workspace) -> Door:
    """The door of a workspace, as `[policy] redaction` and `leaving` have it.

    Raises:
        SettingsError: Presidio is demanded and not installed.
    """
    policy = workspace.settings.policy
    redacts = policy.redaction != "off"
    return Door(workspace.pseudonyms, redacts, tier(policy.leaving) if redacts else None)
