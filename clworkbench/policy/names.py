"""A user's name where the record itself gives it: the one name that can be found in texts without a language model."""

import re
from collections import Counter
from functools import lru_cache

import polars as pl

from clworkbench.policy.json_text import Value, is_json, values, with_values
from clworkbench.policy.marks import mark
from clworkbench.policy.nested import Plan, change_strings
from clworkbench.policy.pseudonyms import Pseudonyms

MESSAGES = ("input", "output", "improvement")
COLUMNS = (*MESSAGES, "error", "comment", "value", "parameters", "attributes")

_WHO = r"end_?user|user|customer|client|contact|caller|patient|guest|member|subscriber"
_WHAT = r"(?:full|first|last|given|family|display|real)?[._]?name"
_ASKED = rf'(?i-u:(?:{_WHO})(?:[._]?{_WHAT}"|"\s*:\s*\{{))|(?i-u:"(?:full|first|last|given|family)_?name")'
_KEY = re.compile(rf"(?i)(?:^|[._])(?:{_WHO})[._]?{_WHAT}$|(?:^|[._])(?:full|first|last|given|family)_?name$")
_NAME = re.compile(r"[^\W\d_][^\W\d_'\u2019.-]*+(?:[ '\u2019.-]{1,2}[^\W\d_]++){0,5}\.?")
_NOBODY = re.compile(
    r"admin(?:istrator)?|agent|anonymous|assistant|bot|caller|client|contact|customer|default|demo|developer|example|guest"
    r"|human|member|model|nobody|none|null|operator|owner|patient|person|public|root|service|someone|subscriber|support"
    r"|system|tester|undefined|unknown|user(?:name)?|visitor"
    r"|(?:the|our|end|test|example|first|new) (?:user|customer|client)",
    re.IGNORECASE,
)


def without_names(frame: pl.DataFrame, told: pl.DataFrame, pseudonyms: Pseudonyms) -> tuple[pl.DataFrame, int]:
    """Mark a user's name in the texts of the row that tells it.

    A name is told by the field `name` of a user's message, or in `attributes` under a key such as `user.name` or
    `customer_name`. It counts when it has two words or five letters and is no role such as `customer`; then it becomes
    `[NAME_1a2b3c4d]` in all texts of its row, whole words in any case.

    Args:
        frame: rows of interactions or feedback, to be changed.
        told: the same rows as they came.
        pseudonyms: makes the surrogates.

    Returns:
        The frame, and how many names were marked; the same frame where no row tells a name.
    """
    names = _names(told)
    if not names:
        return frame, 0
    counts: Counter[str] = Counter()
    rows_with_names = pl.Series(list(names), dtype=pl.UInt32)

    def change(column: pl.Series, rows: pl.Series) -> pl.Series:
        here = (rows.is_in(rows_with_names.implode()) & column.is_not_null()).arg_true()
        old = column.gather(here).to_list()
        new = [
            _marked(text, tuple(names[row]), pseudonyms, counts)
            for text, row in zip(old, rows.gather(here), strict=True)
        ]
        return column if old == new else column.clone().scatter(here, new)

    fields: Plan = {"content": change, "name": change, "parts": change, "tool_calls": {"arguments": change}}
    columns = [
        change_strings(frame[name], fields if name in MESSAGES else change) for name in COLUMNS if name in frame.columns
    ]
    return frame.with_columns(columns), counts["NAME"]


def _names(frame: pl.DataFrame) -> dict[int, list[str]]:
    """The names that each row tells."""
    names: dict[int, list[str]] = {}
    if "attributes" in frame.columns:
        told = frame["attributes"].str.contains(_ASKED).fill_null(value=False).arg_true()
        for row, text in zip(told, frame["attributes"].gather(told), strict=True):
            found = [value.text for value in _told(text) if _is_name(value.text)]
            if found:
                names.setdefault(row, []).extend(found)
    for column in MESSAGES:
        if column in frame.columns:
            for row, name in _of_users(frame[column]):
                names.setdefault(row, []).append(name)
    return {row: sorted(set(found), key=len, reverse=True) for row, found in names.items()}


def _told(text: str) -> list[Value]:
    if not is_json(text):
        return []
    return [v for v in values(text) if v.role == "string" and _KEY.search(f"{v.within}.{v.key}")]


def _of_users(column: pl.Series) -> list[tuple[int, str]]:
    if not isinstance(column.dtype, pl.List) or not isinstance(column.dtype.inner, pl.Struct):
        return []
    rows = pl.int_range(len(column), dtype=pl.UInt32, eager=True).repeat_by(column.list.len().fill_null(0))
    flat = column.explode(empty_as_null=False, keep_nulls=False).struct.unnest().select("role", "name")
    told = flat.with_columns(row=rows.explode(empty_as_null=False, keep_nulls=False)).filter(
        pl.col("role") == "user", pl.col("name").is_not_null()
    )
    return [(row, name) for row, name in told.select("row", "name").unique().iter_rows() if _is_name(name)]


def _is_name(text: str) -> bool:
    text = text.strip()
    if not 4 <= len(text) <= 80 or not _NAME.fullmatch(text) or _NOBODY.fullmatch(text):
        return False
    return " " in text or sum(map(str.isalpha, text)) >= 5


@lru_cache(maxsize=4096)
def _pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    spelled = "|".join(r"\s{1,3}".join(map(re.escape, name.split())) for name in names)
    return re.compile(rf"(?:(?<![\w@])|(?<=\\[bfnrt]))(?:{spelled})(?![\w@])", re.IGNORECASE)


def _marked(text: str, names: tuple[str, ...], pseudonyms: Pseudonyms, counts: Counter[str]) -> str:
    def marked(name: str) -> str:
        counts["NAME"] += 1
        return mark("NAME", pseudonyms.surrogate("NAME", " ".join(name.casefold().split())))

    if text.startswith("{"):
        told = [(value, marked(value.text)) for value in _told(text) if value.text.strip() in names]
        text = with_values(text, told)
    return _pattern(names).sub(lambda m: marked(m[0]), text)
