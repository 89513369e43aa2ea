"""Redaction by patterns: personal data in texts, attributes and ids, taken out before anything is written."""

import re
from collections import Counter
from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import Literal, NamedTuple

import polars as pl

from clworkbench.policy.entities import ENTITIES
from clworkbench.policy.entities.contacts import PHONE, is_phone_key, is_phone_value
from clworkbench.policy.entities.entity import Entity
from clworkbench.policy.entities.finance import CARD, is_card
from clworkbench.policy.entities.national_ids import (
    NATIONAL_ID_BESIDE_WORD,
    is_national_id_key,
    is_national_id_value,
)
from clworkbench.policy.entities.secrets import ASSIGNED, is_secret_key, is_secret_value
from clworkbench.policy.finding import Span, may_hold, spans_of
from clworkbench.policy.finding import found as found
from clworkbench.policy.json_text import Value, is_json, values, with_values
from clworkbench.policy.marks import mark
from clworkbench.policy.names import without_names
from clworkbench.policy.nested import Change, Plan, change_strings
from clworkbench.policy.pseudonyms import Pseudonyms

MESSAGE_COLUMNS = ("input", "output", "improvement")
TEXT_COLUMNS = ("error", "comment")
JSON_COLUMNS = ("tools", "parameters", "value")
ID_COLUMNS = ("source_id", "conversation_id", "trace_id", "parent_id", "target_id")

ID_ENTITIES = tuple(entity for entity in ENTITIES if entity.in_ids)
MAY_HOLD = may_hold(ENTITIES)
MAY_HOLD_JSON = MAY_HOLD + r"|\\u(?:00[2-7aA]|20[0-2])"
"""An escape may hide any ASCII character or a space."""
TELLING_KEYS = r"|(?i:user[._]?id|passport)"
"""Keys whose values no pattern knows."""
NOBODY = (
    r'"(?:19|20)[0-9]{2}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(?:Z|[+-][0-9:]{4,5})?"'
    r'|"\s?:\s?(?:"1[0-9]{15}(?:[0-9]{3})?"|1[0-9]{15}(?:[0-9]{3})?\s?[,}\]])'
    r'|"\s?:\s?-?[0-9]{1,6}\.[0-9]+(?:[eE][+-]?[0-9]+)?\s?[,}\]]'
)
"""Whole JSON values that look like phones to the cheap patterns and never are: times, nanoseconds, fractions."""

_ID_KEY = re.compile(
    r"(?i:(?:^|[._\-\s])(?:ids?|uuid|guid|hash|sha\d*|fingerprint|seed|timestamp|time|date|at|nano|ns|ms|created|updated)$)"
    r"|[a-z0-9](?:Ids?|ID|Uuid|Nano|Timestamp|Time|At)$"
)
_USER_KEY = re.compile(r"(?i)^(?:.*[._])?(?:end_?user|user)[._]?id$")
_MAY_BE_PERSONAL = re.compile(r"[0-9@:=]|-----|[^\x00-\x7f]|[Bb](?:earer|asic) ")
"""What a string of six characters or more must hold to be looked at."""
_HALF_A_CHARACTER = re.compile("[\ud800-\udfff]")


class Redacted(NamedTuple):
    """A frame without personal data, and how many of each kind were taken out."""

    frame: pl.DataFrame
    counts: dict[str, int]


def redact(frame: pl.DataFrame, pseudonyms: Pseudonyms) -> Redacted:
    """Take personal values (`policy.entities`) out of interactions or feedback.

    In text each becomes a mark such as `[EMAIL_1a2b3c4d]`: its kind, and eight digits keyed by the workspace and made
    of the value however it is spelled, the same wherever it is met. In ids (columns, and JSON keys such as `trace_id`
    or `timestamp`) patterns made of digits never apply, and the others become `email_1a2b3c4d`, so that ids stay
    distinct and joins hold. JSON stays valid: strings change, and integers that are cards or stand under a phone's
    key. In `attributes`, a user's id (`enduser.id`) becomes the user's key. A name that the row itself tells is marked
    in all its texts (`policy.names`). What is redacted already stays as it is.

    Args:
        frame: rows of `schemas.INTERACTIONS` or `schemas.FEEDBACK`, whole or in part; other columns stay as they are.
        pseudonyms: makes the surrogates.

    Returns:
        The frame, rows in order, and the counts by kind (`EMAIL`, `PHONE`, ..., `USER`).
    """
    tier = _Tier(pseudonyms)
    text, as_json = tier.change(MAY_HOLD_JSON, "text"), tier.change(MAY_HOLD_JSON, "json")
    message: Plan = {"content": text, "name": text, "parts": as_json, "tool_calls": {"arguments": as_json}}
    plans: dict[str, Plan] = {
        **dict.fromkeys(MESSAGE_COLUMNS, message),
        **dict.fromkeys(TEXT_COLUMNS, text),
        **dict.fromkeys(JSON_COLUMNS, as_json),
        "attributes": tier.change(MAY_HOLD_JSON + TELLING_KEYS, "attributes"),
        **dict.fromkeys(ID_COLUMNS, tier.change(may_hold(ID_ENTITIES), "id")),
    }
    changed = [change_strings(frame[name], plan) for name, plan in plans.items() if name in frame.columns]
    clean, n_names = without_names(frame.with_columns(changed), frame, pseudonyms)
    return Redacted(clean, dict(sorted((tier.counts + Counter(NAME=n_names)).items())))


def redact_text(texts: pl.Series, pseudonyms: Pseudonyms) -> pl.Series:
    """Take the same kinds out of a column of text (labels, suites); a text that is JSON stays valid JSON."""
    return change_strings(texts, _Tier(pseudonyms).change(MAY_HOLD_JSON, "text"))


_Way = Literal["text", "json", "attributes", "id"]
"""How a string is read: as text that may be JSON, as JSON that may be text, as JSON that names users, as an id."""


class _Rewritten(NamedTuple):
    text: str
    kinds: list[str]


class _Tier:
    """The patterns applied to columns, with the counts of what they took out."""

    def __init__(self, pseudonyms: Pseudonyms) -> None:
        self.pseudonyms = pseudonyms
        self.counts: Counter[str] = Counter()

    def change(self, prefilter: str, way: _Way) -> Change:
        """What is done to a column's strings that are read in this way; `prefilter` is what one must hold."""
        return lambda column, _: self._rewrite_column(column, prefilter, way)

    def _rewrite_column(self, column: pl.Series, prefilter: str, way: _Way) -> pl.Series:
        hits = column.str.contains(prefilter).fill_null(value=False).arg_true()
        if way in ("json", "attributes"):
            hits = hits.filter(column.gather(hits).str.replace_all(NOBODY, "t").str.contains(prefilter))
        texts = column.gather(hits).to_list()
        occurrences = Counter(texts)
        rewritten = self._rewrite(occurrences, way)
        if not rewritten:
            return column
        for text, new in rewritten.items():
            for kind in new.kinds:
                self.counts[kind] += occurrences[text]
        return column.clone().scatter(hits, [rewritten[t].text if t in rewritten else t for t in texts])

    def _rewrite(self, texts: Collection[str], way: _Way) -> dict[str, _Rewritten]:
        """What becomes of those texts that change."""
        if way == "id":
            return self._plain(texts, way)
        documents = [text for text in texts if (way != "text" or text.lstrip()[:1] in ("{", "[")) and is_json(text)]
        plain = set(documents)
        return {
            **self._plain([text for text in texts if text not in plain], way),
            **self._documents(documents, names_users=way == "attributes"),
        }

    def _plain(self, texts: Iterable[str], way: _Way) -> dict[str, _Rewritten]:
        entities = ID_ENTITIES if way == "id" else ENTITIES
        whole = list(texts)
        readable = pl.Series([t if t.isascii() else _HALF_A_CHARACTER.sub("\ufffd", t) for t in whole], dtype=pl.String)
        hits = readable.str.contains(may_hold(entities)).arg_true()
        return {
            text: _Rewritten(self._marked(text, spans, way), [span.entity.kind for span in spans])
            for text, spans in zip((whole[n] for n in hits), spans_of(readable.gather(hits), entities), strict=True)
            if spans
        }

    def _marked(self, text: str, spans: list[Span], way: _Way) -> str:
        done, at = [], 0
        for entity, start, end in spans:
            done += [text[at:start], self._mark(entity, text[start:end], way)]
            at = end
        return "".join([*done, text[at:]])

    def _mark(self, entity: Entity, value: str, way: _Way = "text") -> str:
        surrogate = self.pseudonyms.surrogate(entity.kind, entity.normal(value))
        return f"{entity.kind.lower()}_{surrogate}" if way == "id" else mark(entity.kind, surrogate)

    def _documents(self, documents: list[str], *, names_users: bool) -> dict[str, _Rewritten]:
        """JSON in which keys and values change; the strings of all documents are looked at together."""
        known: dict[str, list[tuple[Value, _Rewritten]]] = {}
        asked: dict[str, list[tuple[Value, _Way]]] = {}
        for text in documents:
            known[text], asked[text] = [], []
            for value in values(text):
                new = self._by_key(value, names_users=names_users)
                if new:
                    known[text].append((value, new))
                elif value.role != "number" and len(value.text) >= 6 and _MAY_BE_PERSONAL.search(value.text):
                    way: _Way = "id" if value.role == "key" or _told_by(value.key[-200:]).an_id else "text"
                    asked[text].append((value, way))
        rewritten: dict[_Way, dict[str, _Rewritten]] = {}
        for way in ("id", "text"):
            strings = {value.text for found_here in asked.values() for value, said in found_here if said == way}
            rewritten[way] = self._rewrite(strings, way) if strings else {}
        done = {}
        for text in documents:
            new_ones = [
                (value, rewritten[way][value.text]) for value, way in asked[text] if value.text in rewritten[way]
            ]
            changes = sorted(known[text] + new_ones, key=lambda change: change[0].start)
            if changes:
                said = with_values(text, ((value, new.text) for value, new in changes))
                done[text] = _Rewritten(said, [kind for _, new in changes for kind in new.kinds])
        return done

    def _by_key(self, value: Value, *, names_users: bool) -> _Rewritten | None:
        """What a value becomes because of the key it stands under, or because it is a number."""
        if value.role == "key" or not value.text:
            return None
        key = _told_by(value.key[-200:])
        if names_users and key.a_user:
            return _Rewritten(self.pseudonyms.user(value.text), ["USER"])
        if key.a_national_id and is_national_id_value(value.text):
            return _Rewritten(self._mark(NATIONAL_ID_BESIDE_WORD, value.text), ["NATIONAL_ID"])
        if key.an_id:
            return None
        if key.a_phone and is_phone_value(value.text):
            return _Rewritten(self._mark(PHONE, value.text), ["PHONE"])
        if key.a_secret and value.role == "string" and is_secret_value(value.text):
            return _Rewritten(self._mark(ASSIGNED, value.text), ["SECRET"])
        if value.role == "number" and value.text.isdigit() and is_card(value.text):
            return _Rewritten(self._mark(CARD, value.text), ["CARD"])
        return None


class _Told(NamedTuple):
    """What a JSON key says of its value."""

    a_user: bool
    an_id: bool
    a_phone: bool
    a_secret: bool
    a_national_id: bool


@lru_cache(maxsize=4096)
def _told_by(key: str) -> _Told:
    return _Told(
        a_user=_USER_KEY.search(key) is not None,
        an_id=_ID_KEY.search(key) is not None,
        a_phone=is_phone_key(key),
        a_secret=is_secret_key(key),
        a_national_id=is_national_id_key(key),
    )
