"""Redaction by patterns: personal data in texts, attributes and ids, taken out before anything is written."""

import json
import re
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import polars as pl

from clworkbench.policy import patterns
from clworkbench.policy.pseudonyms import Pseudonyms

MESSAGE_COLUMNS = ("input", "output", "improvement")
TEXT_COLUMNS = ("error", "comment")
JSON_COLUMNS = ("tools", "parameters", "value")
ID_COLUMNS = ("source_id", "conversation_id", "trace_id", "parent_id", "target_id")

MAY_HOLD = "|".join(f"(?:{p})" for p in patterns.PREFILTERS.values())
MAY_HOLD_JSON = (
    MAY_HOLD + r"|\\(?:u(?:00[2-7aA]|20[0-2])|(?:u[0-9A-Fa-f]{4}|[bfnrt])(?:[0-9][0-9 ()./-]{2}|[A-Za-z]{2}[0-9]{2}))"
)
"""An escape may hide any ASCII character or a space, and the last letter of one stands where a word would end."""
USER_KEYS = r"|(?i:user[._]?id)"
NOBODY = (
    r'"(?:19|20)[0-9]{2}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(?:Z|[+-][0-9:]{4,5})?"'
    r'|"\s?:\s?(?:"1[0-9]{15}(?:[0-9]{3})?"|1[0-9]{15}(?:[0-9]{3})?\s?[,}\]])'
    r'|"\s?:\s?-?[0-9]{1,6}\.[0-9]+(?:[eE][+-]?[0-9]+)?\s?[,}\]]'
)
"""Whole JSON values that look like phones to the cheap patterns and never are: times, nanoseconds, fractions."""

WINDOW = 64
"""Characters around a find that may belong to it: its neighbours, a word such as `phone`, an extension."""

_GATES = {kind: re.compile(pattern) for kind, pattern in patterns.PREFILTERS.items()}
_JSON_TOKEN = re.compile(
    r'"(?P<string>(?:[^"\\]++|\\.)*+)"(?P<colon>\s*:)?|(?P<number>-?[0-9][0-9.eE+-]*)|(?P<open>[{\[])|(?P<close>[}\]])'
)
_ID_KEY = re.compile(
    r"(?i:(?:^|[._\-\s])(?:ids?|uuid|guid|hash|sha\d*|fingerprint|seed|timestamp|time|date|at|nano|ns|ms|created|updated)$)"
    r"|[a-z0-9](?:Ids?|ID|Uuid|Nano|Timestamp|Time|At)$"
)
_DIGIT_OR_AT = re.compile(r"[0-9@]")
_USER_KEY = re.compile(r"(?i)^(?:.*[._])?(?:end_?user|user)[._]?id$")


class Redacted(NamedTuple):
    """A frame without personal data, and how many of each kind were taken out."""

    frame: pl.DataFrame
    counts: dict[str, int]


def redact(frame: pl.DataFrame, pseudonyms: Pseudonyms) -> Redacted:
    """Take e-mail addresses, phones, cards, IBANs and IP addresses out of interactions or feedback.

    In text each becomes `[EMAIL]`, `[PHONE]`, `[CARD]`, `[IBAN]` or `[IP]`. In ids (columns, and JSON keys such as
    `trace_id` or `timestamp`) patterns made of digits never apply, and the others become a keyed surrogate such as
    `email_1a2b3c4d`, so that ids stay distinct and joins hold. JSON stays valid: strings change, and integers that
    are cards or stand under a phone's key. In `attributes`, a user's id (`enduser.id`) becomes the user's key.

    Args:
        frame: rows of `schemas.INTERACTIONS` or `schemas.FEEDBACK`, whole or in part; other columns stay as they are.
        pseudonyms: makes the surrogates.

    Returns:
        The frame, rows in order, and the counts by kind (`EMAIL`, `PHONE`, `CARD`, `IBAN`, `IP`, `USER`).
    """
    tier = _Tier(pseudonyms)
    text, as_json = _Rewrite(MAY_HOLD_JSON, tier.text), _Rewrite(MAY_HOLD_JSON, tier.json, json=True)
    message: _Plan = {"content": text, "name": text, "parts": as_json, "tool_calls": {"arguments": as_json}}
    plans: dict[str, _Plan] = {
        **dict.fromkeys(MESSAGE_COLUMNS, message),
        **dict.fromkeys(TEXT_COLUMNS, text),
        **dict.fromkeys(JSON_COLUMNS, as_json),
        "attributes": _Rewrite(MAY_HOLD_JSON + USER_KEYS, tier.attributes, json=True),
        **dict.fromkeys(ID_COLUMNS, _Rewrite(MAY_HOLD, tier.identifier)),
    }
    changed = [_apply(frame[name], plan) for name, plan in plans.items() if name in frame.columns]
    return Redacted(frame.with_columns(changed), dict(sorted(tier.counts.items())))


def redact_text(texts: pl.Series, pseudonyms: Pseudonyms) -> pl.Series:
    """Take the same kinds out of a column of text (labels, suites); a text that is JSON stays valid JSON."""
    return _apply(texts, _Rewrite(MAY_HOLD_JSON, _Tier(pseudonyms).text))


class _Rewrite(NamedTuple):
    """What is done to a text that occurs so many times, and the pattern without which it need not be looked at."""

    prefilter: str
    function: Callable[[str, int], str]
    json: bool = False


_Plan = _Rewrite | dict[str, "_Plan"]


def _apply(column: pl.Series, plan: _Plan) -> pl.Series:
    """Rewrite a column's strings, however deep in lists and structs; the same object if none changed."""
    if isinstance(column.dtype, pl.List):
        inner = column.explode(empty_as_null=False, keep_nulls=False)
        changed = _apply(inner, plan)
        return column if changed is inner else _regroup(changed, column)
    if isinstance(plan, _Rewrite):
        return _rewrite(column, plan) if column.dtype == pl.String else column
    return _apply_fields(column, plan) if isinstance(column.dtype, pl.Struct) else column


def _apply_fields(column: pl.Series, plan: dict[str, _Plan]) -> pl.Series:
    fields = column.struct.unnest()
    old = [fields[name] for name in plan if name in fields.columns]
    new = [_apply(field, plan[field.name]) for field in old]
    if all(a is b for a, b in zip(old, new, strict=True)):
        return column
    rebuilt = fields.with_columns(new).to_struct(column.name)
    return rebuilt if not column.null_count() else rebuilt.set(column.is_null(), None)


def _rewrite(column: pl.Series, plan: _Rewrite) -> pl.Series:
    hits = column.str.contains(plan.prefilter).fill_null(value=False).arg_true()
    if plan.json:
        hits = hits.filter(column.gather(hits).str.replace_all(NOBODY, "t").str.contains(plan.prefilter))
    texts = column.gather(hits).to_list()
    rewritten = {text: plan.function(text, n) for text, n in Counter(texts).items()}
    if all(text == new for text, new in rewritten.items()):
        return column
    return column.clone().scatter(hits, [rewritten[text] for text in texts])


def _regroup(flat: pl.Series, like: pl.Series) -> pl.Series:
    """Lists of the lengths that `like` has, filled with `flat`; empty and missing lists stay what they are."""
    rows = pl.int_range(len(like), eager=True).alias("row")
    lengths = like.list.len().fill_null(0)
    owner = rows.repeat_by(lengths).explode(empty_as_null=False, keep_nulls=False)
    filled = pl.DataFrame([owner.alias("row"), flat.alias("new")]).group_by("row").agg("new")
    both = pl.DataFrame([rows, like.alias("old")]).join(filled, on="row", how="left", maintain_order="left")
    return both.select(pl.coalesce("new", "old").alias(like.name)).to_series()


class _Tier:
    """The patterns applied to one text at a time, with the counts of what they took out."""

    def __init__(self, pseudonyms: Pseudonyms) -> None:
        self.pseudonyms = pseudonyms
        self.counts: Counter[str] = Counter()

    def text(self, text: str, n: int = 1) -> str:
        """Plain text, or text that is JSON (an object or a list), as tools give it."""
        if text.lstrip()[:1] in ("{", "[") and _is_json(text):
            return self._json_tokens(text, n)
        return self._plain(text, n)

    def json(self, text: str, n: int = 1) -> str:
        """Text that should be JSON; what is not is text."""
        return self._json_tokens(text, n) if _is_json(text) else self._plain(text, n)

    def attributes(self, text: str, n: int = 1) -> str:
        """JSON in which a user may be named by an id that no pattern knows."""
        return self._json_tokens(text, n, users=True) if _is_json(text) else self._plain(text, n)

    def identifier(self, text: str, n: int = 1) -> str:
        """An id: surrogates for what names a person, digits as they are."""

        def surrogate(kind: str, raw: str) -> str:
            return f"{kind.lower()}_{self.pseudonyms.surrogate(kind, raw)}"

        return self._names(text, n, surrogate)

    def _plain(self, text: str, n: int) -> str:
        def mark(kind: str, raw: str) -> str:  # noqa: ARG001  every mark of a kind is the same
            return f"[{kind}]"

        def digits(window: str) -> str:
            window = patterns.CARD.sub(lambda m: self._take("CARD", m[0], n, mark, real=patterns.is_card(m[0])), window)
            window = patterns.PHONE.sub(lambda m: self._take("PHONE", m[0], n, mark, real=patterns.is_phone(m)), window)
            window = patterns.PHONE_AFTER_WORD.sub(lambda m: self._phone_beside_word(m, n), window)
            return patterns.PHONE_BEFORE_WORD.sub(lambda m: self._phone_beside_word(m, n), window)

        return _in_windows(self._names(text, n, mark), "PHONE", digits)

    def _names(self, text: str, n: int, replace: Callable[[str, str], str]) -> str:
        """The kinds that name somebody in ids as well."""

        def iban(window: str) -> str:
            return patterns.IBAN.sub(
                lambda m: self._take("IBAN", m[0], n, replace, real=patterns.is_iban(m[0])), window
            )

        def address(window: str) -> str:
            window = patterns.IPV6.sub(lambda m: self._ipv6(m[0], n, replace), window)
            return patterns.IPV4.sub(lambda m: self._take("IP", m[0], n, replace, real=patterns.is_ipv4(m)), window)

        if "@" in text:
            text = patterns.EMAIL.sub(lambda m: self._take("EMAIL", m[0], n, replace), text)
        return _in_windows(_in_windows(text, "IBAN", iban), "IP", address)

    def _take(self, kind: str, raw: str, n: int, replace: Callable[[str, str], str], *, real: bool = True) -> str:
        if not real:
            return raw
        self.counts[kind] += n
        return replace(kind, raw)

    def _ipv6(self, raw: str, n: int, replace: Callable[[str, str], str]) -> str:
        """A colon at the end is punctuation unless it is half of a `::`."""
        bare = raw[:-1] if raw.endswith(":") and not raw.endswith("::") else raw
        return self._take("IP", bare, n, replace, real=patterns.is_ipv6(bare)) + raw[len(bare) :]

    def _phone_beside_word(self, match: re.Match[str], n: int) -> str:
        if not patterns.is_phone_beside_word(match):
            return match[0]
        self.counts["PHONE"] += n
        return match[0][: match.start("number") - match.start()] + "[PHONE]"

    def _json_tokens(self, text: str, n: int, *, users: bool = False) -> str:
        """Rewrite the strings and integers of valid JSON and leave every other byte as it is."""
        key, outer, done, end = "", [], [], 0
        for token in _JSON_TOKEN.finditer(text):
            if token["open"]:
                outer.append(key)
            elif token["close"]:
                key = outer.pop()
            else:
                raw = token["string"] if token["number"] is None else token["number"]
                value = json.loads(f'"{raw}"') if "\\" in raw else raw
                if token["colon"]:
                    key = value
                    new = self.identifier(value, n)
                elif users and value and _USER_KEY.search(key):
                    self.counts["USER"] += n
                    new = self.pseudonyms.user(value)
                else:
                    new = self._json_value(value, key, n, quoted=token["number"] is None)
                if new != value:
                    done += [text[end : token.start()], json.dumps(new), token["colon"] or ""]
                    end = token.end()
        return "".join([*done, text[end:]])

    def _json_value(self, value: str, key: str, n: int, *, quoted: bool) -> str:
        if not _DIGIT_OR_AT.search(value):
            return value
        if _ID_KEY.search(key):
            return self.identifier(value, n) if quoted else value
        if patterns.PHONE_KEY.search(key) and patterns.is_phone_value(value):
            self.counts["PHONE"] += n
            return "[PHONE]"
        if quoted:
            return self.text(value, n)
        real = value.isdigit() and patterns.is_card(value)
        return self._take("CARD", value, n, lambda kind, _: f"[{kind}]", real=real)


def _in_windows(text: str, gate: str, rewrite: Callable[[str], str]) -> str:
    """Rewrite only around what the cheap pattern finds: the exact ones are ten times slower."""
    windows: list[tuple[int, int]] = []
    for match in _GATES[gate].finditer(text):
        start, end = max(0, match.start() - WINDOW), match.end() + WINDOW
        if windows and start <= windows[-1][1]:
            start = windows.pop()[0]
        windows.append((start, end))
    done, at = [], 0
    for start, end in windows:
        done += [text[at:start], rewrite(text[start:end])]
        at = end
    return "".join([*done, text[at:]]) if windows else text


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
