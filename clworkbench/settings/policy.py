"""What may be kept, and what may be learned."""

from datetime import timedelta
from typing import Literal

import msgspec

from clworkbench.settings.bounds import Positive, Share


class ExclusionRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What must not be used: rows of which every condition given here is true.

    Attributes:
        where: an expression over signals.
        slice: one of `[slices]`.
        source: the name of a source.
        pattern: a regular expression, looked for in all texts of a row.
        at: `use`: such rows never reach candidates, annotators, training sets or the suites made of them; `ingest`:
            they never enter the tables.
    """

    name: str
    where: str | None = None
    slice: str | None = None
    source: str | None = None
    pattern: str | None = None
    at: Literal["use", "ingest"] = "use"


class SampleSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which share of the signals may be used.

    Attributes:
        by: columns of signals, or expressions over them, that make the strata; a stratum is named by its values, joined
            by '/'; a missing one is '-'.
        rate: the share of a stratum that `rates` does not name.
        rates: shares by stratum.
    """

    by: tuple[str, ...] = ()
    rate: Share = 1.0
    rates: dict[str, Share] = msgspec.field(default_factory=dict)


class QualitySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a signal must be before it is learned.

    Attributes:
        min_confidence: accepted answers of a known confidence below it are left out.
        verified: only what a person labelled or corrected.
        min_agreement: least share of the labels on a signal that say the same.
        reliability: how often each outcome rule, or `labels`, is right (0.5 says nothing); 0.8 for those not named.
        min_belief: least probability that an accepted answer is good, all rules and labels that spoke about it weighed.
        weigh: accepted rows are weighed by how far that probability is from a coin's, 2p - 1.
        hold_injections: completions that look like instructions to a model wait for a person's label.
    """

    min_confidence: Share | None = None
    verified: bool = False
    min_agreement: Share | None = None
    min_belief: Share | None = None
    reliability: dict[str, Share] = msgspec.field(default_factory=dict)
    weigh: bool = False
    hold_injections: bool = True


class CapSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much one voice may weigh in a training set.

    Attributes:
        per_user: most rows of one user.
        per_text: most rows that ask the same, word for word.
        burst: a user's signals closer together than this count as one burst; the first of them stays.
        brigade: as many actors agreeing on one answer's feedback within an hour are flagged, and not counted.
    """

    per_user: Positive | None = None
    per_text: Positive | None = None
    burst: timedelta | None = None
    brigade: Positive | None = None


class PolicySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be kept, and what may be learned.

    Attributes:
        redaction: on unless it is switched off in so many words.
        leaving: the second tier, on all that leaves for annotators and training; `auto`: Presidio where it is there.
        retention: nothing older is kept; None keeps it for ever.
        exclude: in order; the first rule that holds names the reason.
    """

    redaction: Literal["patterns", "off"] = "patterns"
    leaving: Literal["auto", "presidio", "patterns"] = "auto"
    retention: timedelta | None = None
    exclude: tuple[ExclusionRule, ...] = ()
    sample: SampleSettings = SampleSettings()
    quality: QualitySettings = QualitySettings()
    caps: CapSettings = CapSettings()
