"""Expressions of `clw.toml` and the command line: SQL over the columns of one row, and nothing that reaches further."""

import difflib
import io
import json
import re
from collections.abc import Collection, Iterator

import polars as pl
from polars.exceptions import PanicException, PolarsError

from clworkbench.errors import ExpressionError

MAX_LENGTH = 10_000

# polars runs a subquery's `read_csv('…')` while it parses, so these are found before it sees the text.
_SUBQUERY = re.compile(r"\([\s(]*(?:select|from|with|values|table)\b|^\s*(?:select|from|with)\b", re.IGNORECASE)
_COMMENT = re.compile(r"--|/\*")
_QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`")
_CLOCK = re.compile(r"\b(?:current_(?:date|time|timestamp)|localtime|localtimestamp|now\s*\()", re.IGNORECASE)
_WINDOW = re.compile(r"\bover\s*\(", re.IGNORECASE)

_QUOTES = r"('(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`)"
_ATTRIBUTE = re.compile(_QUOTES + r"|\battributes((?:\.[A-Za-z_][A-Za-z0-9_]*)+)")
_TIMESTAMP = re.compile(_QUOTES + r"|\btimestamp(?=\s*')", re.IGNORECASE)
_ATTRIBUTE_NAME = re.compile(r"attributes\.[\w .:/@-]+")

_TOKEN = re.compile(_QUOTES + r"|[\w.]+|[<>=!|]+|\S")
_WORDS = {
    "and", "or", "not", "in", "is", "null", "like", "ilike", "between", "true", "false", "case", "when", "then", "else",
    "end", "cast", "as", "timestamp", "date", "interval",
}  # fmt: skip
_RESERVED = _WORDS | {
    "all", "any", "by", "distinct", "except", "exists", "from", "group", "having", "intersect", "join", "limit",
    "offset", "on", "order", "over", "select", "some", "table", "union", "user", "using", "values", "where", "with",
}  # fmt: skip
_REFUSED_IN_TEXT = re.compile(r"-(?=-)|/(?=\*)|\((?=[\s(]*(?:select|from|with|values|table)\b)", re.IGNORECASE)

TIMES = "Write a time as one, in UTC: started_at >= timestamp '2026-11-01'"

_ONE_ROW = {"Alias", "BinaryExpr", "Cast", "Column", "Field", "Function", "Literal", "Ternary"}
_MANY_ROWS = {"Correlation", "DropNulls", "NullCount", "NUnique", "Quantile", "Range", "Rank", "RollingExpr", "Unique"}


def parse(text: str, columns: Collection[str]) -> pl.Expr:
    """Read an expression such as `app = 'desk' and n_input_tokens > 500`.

    Args:
        text: polars' SQL. Its value in a row depends on that row alone: subqueries, table functions, aggregates,
            windows and the clock are refused, and nothing is evaluated as Python.
        columns: the names that it may use; a struct's field is named `column.field`. `attributes.tenant.id` is the
            value, as text, that the JSON in `attributes` holds under `tenant.id` or under `tenant` and `id`; a name
            with other characters stands in double quotes as a whole.

    Returns:
        The expression; its type is not checked here.

    Raises:
        ExpressionError: with the expression, what is wrong with it, and the way out.
    """
    _refuse_what_reaches_further(text)
    try:
        expression = pl.sql_expr(_in_our_words(text))
        tree = json.loads(expression.meta.serialize(format="json"))
    except (PolarsError, PanicException, RecursionError, UnicodeEncodeError, ValueError) as error:
        reason = str(error).split("\n")[0]
        raise ExpressionError(
            f"expression {_short(text)}: cannot be read: {reason}.\n"
            "Write it as SQL, with text in single quotes, e.g. app = 'desk' and latency_ms > 500"
        ) from None
    _refuse_many_rows(text, tree)
    names = expression.meta.root_names()
    inside = {name for name in names if "attributes" in columns and _ATTRIBUTE_NAME.fullmatch(name)} - set(columns)
    _refuse_unknown(text, [name for name in names if name not in inside], columns)
    return _rebuilt(tree, inside) if inside else expression


def _in_our_words(text: str) -> str:
    """Attributes as quoted names, and times in UTC, as all of ours are."""
    named = _ATTRIBUTE.sub(lambda m: m[1] or f'"attributes{m[2]}"', text)
    return _TIMESTAMP.sub(lambda m: m[1] or "timestamptz", named)


def holds(frame: pl.DataFrame, text: str, *, where: str) -> pl.Series:
    """In which rows an expression is true; where it is unknown (null), it is not. Arguments and errors as `truth`."""
    return truth(frame, text, where=where).fill_null(value=False)


def truth(frame: pl.DataFrame, text: str, *, where: str) -> pl.Series:
    """Whether an expression is true in each row, null where that is unknown.

    Args:
        frame: the rows it is about.
        text: as for `parse`.
        where: what stands before the message of an error, e.g. `policy.exclude.minors`.

    Raises:
        ExpressionError: it cannot be read, fails on these rows, or gives something else than true or false.
    """
    try:
        found = frame.select(holds=parse(text, frame.columns))["holds"]
    except ExpressionError as error:
        raise ExpressionError(f"{where}: {error}") from None
    except PolarsError as error:
        said = _told(error)
        way = TIMES if said.startswith("cannot compare 'date/datetime/time'") else "Mend the expression."
        raise ExpressionError(f"{where}: {text!r} fails on these rows: {said}. {way}") from None
    if found.dtype != pl.Boolean:
        raise ExpressionError(f"{where}: {text!r} gives {found.dtype}, not true or false. Compare it with something.")
    return found if len(found) == frame.height else pl.repeat(found.item(), frame.height, eager=True).alias("holds")


def canonical(text: str) -> str:
    """An expression with one blank between its words and SQL's own words in small letters, quoted text as it stands."""
    found = [match[0] for match in _TOKEN.finditer(text)]
    words = []
    for token, after in zip(found, [*found[1:], ""], strict=True):
        own = token.lower() in _WORDS or after == "("
        words.append("<>" if token == "!=" else token.lower() if own and token[0] not in "'\"`" else token)
    return " ".join(words)


def name_in_sql(column: str) -> str:
    """A column's name as an expression writes it, quoted where it must be."""
    plain = re.fullmatch(r"[a-z_][a-z0-9_]*", column) and column not in _RESERVED
    return column if plain else '"' + column.replace('"', '""') + '"'


def text_in_sql(text: str) -> str:
    """A text as an expression writes it; one that holds what `parse` refuses is put together of two halves."""
    quoted = "'" + _REFUSED_IN_TEXT.sub(lambda m: f"{m[0]}' || '", text.replace("'", "''")) + "'"
    return f"({quoted})" if "' || '" in quoted else quoted


def attributes(text: str, columns: Collection[str]) -> set[str]:
    """The attributes that an expression reads, by their whole names: `attributes.tenant.id`."""
    return {name for name in pl.sql_expr(_in_our_words(text)).meta.root_names() if name not in columns}


def _told(error: PolarsError) -> str:
    """What polars says, without the values that it quotes: they may be personal."""
    said = str(error).split("\n")[0]
    return re.sub(r"( failed in column '[^']*').*| (?:for|:) \[.*|: \[.*", r"\1", said)


def _rebuilt(tree: object, inside: Collection[str]) -> pl.Expr:
    """The expression with each name of an attribute replaced by the look into the JSON."""
    parts = {name: json.loads(_attribute(name).meta.serialize(format="json")) for name in inside}

    def replaced(node: object) -> object:
        if isinstance(node, list):
            return [replaced(each) for each in node]
        if not isinstance(node, dict):
            return node
        name = node.get("Column")
        return parts[name] if isinstance(name, str) and name in parts else {k: replaced(v) for k, v in node.items()}

    return pl.Expr.deserialize(io.BytesIO(json.dumps(replaced(tree)).encode()), format="json")


def _attribute(name: str) -> pl.Expr:
    """`attributes.a.b`: the value under the key `a.b`, else the one under `a` and then `b`."""
    keys = name.split(".")[1:]
    flat = pl.col("attributes").str.json_path_match(f"$['{'.'.join(keys)}']")
    nested = pl.col("attributes").str.json_path_match("$" + "".join(f"['{key}']" for key in keys))
    return flat if len(keys) == 1 else pl.coalesce(flat, nested)


def _refuse_what_reaches_further(text: str) -> None:
    if not text.strip():
        raise ExpressionError("expression: it is empty.\nWrite a condition over columns, e.g. app = 'desk'")
    if len(text) > MAX_LENGTH:
        raise ExpressionError(
            f"expression {_short(text)}: {len(text)} characters, more than {MAX_LENGTH}.\n"
            "Give the rows a column of their own (a mapping's constant, an attribute) and test that."
        )
    if _COMMENT.search(text):
        raise ExpressionError(f"expression {_short(text)}: a comment (-- or /*) is not allowed.\nLeave it out.")
    if _SUBQUERY.search(text):
        raise ExpressionError(
            f"expression {_short(text)}: a subquery is not allowed; an expression sees one row.\n"
            "Write a list of values instead, e.g. app in ('desk', 'phone')"
        )
    bare = _QUOTED.sub("''", text)
    if _CLOCK.search(bare):
        raise ExpressionError(
            f"expression {_short(text)}: the clock would give other rows each time.\n"
            "Write the time out, e.g. started_at >= timestamp '2026-11-01'"
        )
    if _WINDOW.search(bare):
        raise ExpressionError(_many_rows(text, "OVER"))


def _refuse_many_rows(text: str, tree: object) -> None:
    for name in _nodes(tree):
        if name not in _ONE_ROW:
            raise ExpressionError(_many_rows(text, name))


def _many_rows(text: str, what: str) -> str:
    return (
        f"expression {_short(text)}: {what} looks at more than one row.\n"
        "Compare columns of the row itself; shares and counts over rows are what `clw slice` reports."
    )


def _nodes(tree: object) -> Iterator[str]:
    """The kinds of node in a serialised expression, and the functions among them that look at many rows."""
    if isinstance(tree, str):
        yield tree
        return
    if not isinstance(tree, dict):
        return
    for kind, body in tree.items():
        yield kind
        parts: list[object] = []
        match kind:
            case "Function":
                function = body["function"]
                yield from _MANY_ROWS & ({function} if isinstance(function, str) else set(function))
                parts = body["input"]
            case "BinaryExpr":
                parts = [body["left"], body["right"]]
            case "Ternary":
                parts = [body["predicate"], body["truthy"], body["falsy"]]
            case "Cast":
                parts = [body["expr"]]
            case "Alias":
                parts = [body[0]]
        for part in parts:
            yield from _nodes(part)


def _refuse_unknown(text: str, names: list[str], columns: Collection[str]) -> None:
    unknown = next((name for name in names if name not in columns), None)
    if unknown is None:
        return
    known = sorted(columns)
    close = difflib.get_close_matches(unknown, known, n=1)
    hint = f"Did you mean {close[0]}?" if close else "Text goes in single quotes, a name with blanks in double quotes."
    raise ExpressionError(f"expression {_short(text)}: no column '{unknown}' among {known}.\n{hint}")


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")
