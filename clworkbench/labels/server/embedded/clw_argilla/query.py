r"""Elasticsearch's `simple_query_string`, default operator AND, as a match expression of SQLite's FTS5.

The grammar is Lucene's SimpleQueryParser: `+` and a space join with AND, `|` with OR, from left to right without
precedence; `-` before a word, phrase or group takes its complement; `"a b"` is a phrase, `"a b"~2` a loose one, `word*`
a prefix, `word~1` a word with one wrong letter; `(` and `)` group; `\` makes the next character plain. What makes no
sense (a quote that never closes, an operator without an operand) is left out, as there.

Source: https://www.elastic.co/guide/en/elasticsearch/reference/8.x/query-dsl-simple-query-string-query.html and
Lucene 9, `org.apache.lucene.queryparser.simple.SimpleQueryParser`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from .words import is_sign, units, words

LONGEST = 5000  # letters; groups that never close cost the square of it
MOST_TERMS = 1024  # Elasticsearch's bound on clauses
DEEPEST = 40  # FTS5's parser takes about 100 open parentheses
MOST_EDITS = 2  # Lucene's bound
NOTHING = '"\ue001"'  # no text holds this sign

Operator = Literal["AND", "OR"]
Spellings = Callable[[str, int], Sequence[str]]


class QueryTooLarge(ValueError):
    """A query with more terms or deeper nesting than can be searched."""


class Match(NamedTuple):
    """A set of records: those that match `expression`, or with `absent` those that don't.

    `kind` is the operator at the top of the expression, or `leaf`; of a NOT, `wanted` and `unwanted` are the sides.
    """

    expression: str
    absent: bool = False
    kind: Literal["leaf", "AND", "OR", "NOT"] = "leaf"
    depth: int = 0
    wanted: "Match | None" = None
    unwanted: "Match | None" = None


EVERYTHING = Match(NOTHING, absent=True)


def parse(text: str, columns: Sequence[str], spellings: Spellings) -> Match | None:
    """The set of records that `text` asks for, over the FTS5 columns `columns`; None where it holds no word.

    Args:
        text: what a person typed.
        columns: the fields' columns; a word that falls into several (`wi-fi`) must be whole in one of them.
        spellings: for `word~2`: the indexed words within that many edits of a word.

    Raises:
        QueryTooLarge: more than 5000 letters or 1024 words, or nested deeper than 40 levels.
    """
    if len(text) > LONGEST:
        raise QueryTooLarge(f"The search is longer than {LONGEST} letters: shorten it.")
    if text.strip() == "*":
        return EVERYTHING
    return _Parser(text, columns, spellings).group(0, len(text), level=0)


@dataclass
class _Group:
    """How far one parenthesis has been read."""

    top: Match | None = None
    operator: Operator | None = None
    dashes: int = 0

    def explicit(self, operator: Operator) -> None:
        if self.operator is None and self.top is not None:
            self.operator = operator

    def take(self, branch: Match | None) -> None:
        if branch is not None:
            if self.dashes % 2:
                branch = branch._replace(absent=not branch.absent)
            if self.top is None:
                self.top = branch
            else:
                self.top = both(self.top, branch) if self.operator != "OR" else either(self.top, branch)
        self.operator = None


@dataclass
class _Parser:
    text: str
    columns: Sequence[str]
    spellings: Spellings
    terms: int = field(default=0)

    def group(self, at: int, end: int, *, level: int) -> Match | None:
        if level > DEEPEST:
            raise QueryTooLarge(f"The search nests deeper than {DEEPEST} levels: take some parentheses out.")
        state = _Group()
        while at < end:
            sign = self.text[at]
            at += 1
            if sign == "-":
                state.dashes += 1
                continue
            if sign == "+":
                state.explicit("AND")
            elif sign == "|":
                state.explicit("OR")
            elif sign == "(":
                at = self._subgroup(state, at, end, level=level)
            elif sign == '"':
                at = self._phrase(state, at, end)
            elif sign != ")" and sign not in " \t\n\r":
                at = self._word(state, at - 1, end)
            state.dashes = 0
        return state.top

    def _subgroup(self, state: _Group, start: int, end: int, *, level: int) -> int:
        open_groups, at = 1, start
        if self.text.find(")", start, end) < 0:
            return start
        while at < end:
            if self.text[at] == "\\":
                at += 1
            elif self.text[at] == "(":
                open_groups += 1
            elif self.text[at] == ")":
                open_groups -= 1
                if not open_groups:
                    break
            at += 1
        if at >= end:
            return start
        if at == start:
            state.operator = None
        else:
            state.take(self.group(start, at, level=level + 1))
        return at + 1

    def _phrase(self, state: _Group, start: int, end: int) -> int:
        letters, at = [], start
        while at < end and self.text[at] != '"':
            if self.text[at] == "\\":
                at += 1
                if at == end:
                    break
            letters.append(self.text[at])
            at += 1
        if at >= end:
            return start
        if at == start:
            state.operator = None
            return at + 1
        slop, after = self._tilde(at + 1, end)
        state.take(self._phrase_match(words("".join(letters)), slop))
        return after

    def _word(self, state: _Group, at: int, end: int) -> int:
        letters: list[str] = []
        prefix, edits = False, 0
        while at < end and self.text[at] not in '"|+() \t\n\r':
            if self.text[at] == "\\":
                at, prefix = at + 1, False
                if at == end:
                    break
            elif letters and self.text[at] == "~":
                prefix = False
                edits, at = self._tilde(at, end)
                break
            else:
                prefix = bool(letters) and self.text[at] == "*"
            letters.append(self.text[at])
            at += 1
        state.take(self._word_match(units("".join(letters)), prefix=prefix, edits=min(edits, MOST_EDITS)))
        return at

    def _tilde(self, at: int, end: int) -> tuple[int, int]:
        """The number after a `~` at `at` (2 where none is written, 0 where it is none), and where it ends."""
        if at >= end or self.text[at] != "~":
            return 0, at
        start = at = at + 1
        while at < end and self.text[at] not in '"|+() \t\n\r':
            at += 1
        number = self.text[start:at]
        if not number:
            return 2, at
        return (int(number) if number.isascii() and number.isdigit() and len(number) < 7 else 0), at

    def _phrase_match(self, phrase: list[str], slop: int) -> Match | None:
        self._count(len(phrase))
        if not phrase:
            return None
        if slop and len(phrase) > 1:
            near = " ".join(f'"{word}"' for word in phrase)
            return Match(f"NEAR({near}, {slop + len(phrase) - 2})")
        return Match(f'"{" ".join(phrase)}"')

    def _word_match(self, parts: list[str], *, prefix: bool, edits: int) -> Match | None:
        self._count(len(parts))
        if not parts:
            return None
        matches = [self._spelled(part, edits) for part in parts]
        if prefix:
            matches[-1] = Match(f'"{parts[-1]}" *')
        if len(matches) == 1:
            return matches[0]
        whole = matches[0]
        for match in matches[1:]:
            whole = both(whole, match)
        if len(self.columns) <= 1:
            return whole
        here = [Match(f"{column} : ({whole.expression})", depth=whole.depth + 1) for column in self.columns]
        anywhere = here[0]
        for match in here[1:]:
            anywhere = either(anywhere, match)
        return anywhere

    def _spelled(self, part: str, edits: int) -> Match:
        edits = min(edits, len(part) - 1)
        if edits < 1 or " " in part or is_sign(part):
            return Match(f'"{part}"')
        found = [Match(f'"{word}"') for word in self.spellings(part, edits)]
        if not found:
            return Match(NOTHING)
        match = found[0]
        for other in found[1:]:
            match = either(match, other)
        return match

    def _count(self, terms: int) -> None:
        self.terms += terms
        if self.terms > MOST_TERMS:
            raise QueryTooLarge(f"The search holds more than {MOST_TERMS} words: shorten it.")


def both(a: Match, b: Match) -> Match:
    """Records of `a` that are in `b` too. FTS5's NOT has two sides, so complements are moved outwards."""
    if a.absent and b.absent:
        return _joined("OR", a._replace(absent=False), b._replace(absent=False))._replace(absent=True)
    if a.absent:
        return _without(b, a._replace(absent=False))
    if b.absent:
        return _without(a, b._replace(absent=False))
    return _joined("AND", a, b)


def either(a: Match, b: Match) -> Match:
    """Records of `a` or of `b`, as the complement of what is in neither."""
    if not a.absent and not b.absent:
        return _joined("OR", a, b)
    neither = both(a._replace(absent=not a.absent), b._replace(absent=not b.absent))
    return neither._replace(absent=not neither.absent)


def _joined(kind: Operator, a: Match, b: Match) -> Match:
    if kind == "AND":  # (a NOT b) AND c is (a AND c) NOT b: long queries stay shallow
        for one, other in ((a, b), (b, a)):
            if one.wanted is not None and one.unwanted is not None:
                return _without(_joined("AND", one.wanted, other), one.unwanted)
    (left, left_depth), (right, right_depth) = _side(a, kind), _side(b, kind)
    return _checked(Match(f"{left} {kind} {right}", kind=kind, depth=max(left_depth, right_depth)))


def _without(wanted: Match, unwanted: Match) -> Match:
    if wanted.wanted is not None and wanted.unwanted is not None:
        return _without(wanted.wanted, _joined("OR", wanted.unwanted, unwanted))
    (left, left_depth), (right, right_depth) = _side(wanted, "NOT"), _side(unwanted, "leaf")
    depth = max(left_depth, right_depth)
    return _checked(Match(f"{left} NOT {right}", kind="NOT", depth=depth, wanted=wanted, unwanted=unwanted))


def _side(match: Match, kind: str) -> tuple[str, int]:
    if match.kind in ("leaf", kind):
        return match.expression, match.depth
    return f"({match.expression})", match.depth + 1


def _checked(match: Match) -> Match:
    if match.depth > DEEPEST:
        raise QueryTooLarge(f"The search changes between AND and OR more than {DEEPEST} times: take some apart.")
    return match
