"""Edits that change nothing worth learning, told from those that do, by rules that are declared here."""

import polars as pl

from clworkbench.policy.marks import MARK

SMALL = ("whitespace", "redaction_only", "cosmetic")
"""In the order in which they are looked for."""

STRUCTURED = r"^\s*[{\[<]|```"
"""Answers in which a comma or a capital letter may decide: JSON, markup, code."""

_JOINED = {".": "\ue000", ",": "\ue001", ":": "\ue002", "/": "\ue003", "-": "\ue004"}
"""Punctuation between two digits is part of a number, and a hyphen before one is its sign: 1.5 is not 15."""


def small_change(one: pl.Expr, other: pl.Expr) -> pl.Expr:
    """Why the difference of two answers teaches nothing, or null where it may.

    - `whitespace`: they are the same but for white space.
    - `redaction_only`: the same but for white space and what redaction took out.
    - `cosmetic`: the same but for those, letters' case, and punctuation that is not part of a number. Answers in JSON,
      markup or code are never called so: a comma may decide there. Other symbols (€, +, emoji) always count.

    Args:
        one: messages.
        other: messages; their roles and tool calls must be the same for anything to be small.
    """
    texts = [_text(messages) for messages in (one, other)]
    bare = [_squeezed(text) for text in texts]
    unmarked = [_squeezed(text.str.replace_all(MARK, "\ufffc")) for text in texts]
    words = [_words(text) for text in texts]
    structured = pl.any_horizontal(text.str.contains(STRUCTURED) for text in texts)
    return (
        pl.when(_frame(one) != _frame(other))
        .then(None)
        .when(bare[0] == bare[1])
        .then(pl.lit("whitespace"))
        .when(unmarked[0] == unmarked[1])
        .then(pl.lit("redaction_only"))
        .when((words[0] == words[1]) & ~structured)
        .then(pl.lit("cosmetic"))
        .otherwise(pl.lit(None, pl.String))
    )


def _text(messages: pl.Expr) -> pl.Expr:
    content = pl.element().struct.field("content").fill_null("")
    return messages.list.eval(content).list.join("\n")


def _frame(messages: pl.Expr) -> pl.Expr:
    """Who speaks and which tools are called, as one text."""
    message = pl.element().struct
    calls = message.field("tool_calls").list.eval(_call()).list.join("\x1e").fill_null("")
    return messages.list.eval(pl.concat_str([message.field("role"), calls], separator="\x1f")).list.join("\x1d")


def _call() -> pl.Expr:
    call = pl.element().struct
    name, arguments = call.field("name").fill_null(""), call.field("arguments").fill_null("")
    return pl.concat_str([name, _squeezed(arguments)], separator="\x1f")


def _squeezed(text: pl.Expr) -> pl.Expr:
    return text.str.replace_all(r"\s+", "")


def _words(text: pl.Expr) -> pl.Expr:
    """Letters, digits, numbers as they stand and symbols, in lower case; marks of redaction are all one."""
    plain = text.str.normalize("NFKC").str.replace_all(MARK, "\ufffc").str.to_lowercase()
    for sign, kept in _JOINED.items():
        # Twice, for a digit that stands between two signs belongs to one match only.
        pattern = rf"(\d)[{sign}](\d)"
        plain = plain.str.replace_all(pattern, f"${{1}}{kept}${{2}}").str.replace_all(pattern, f"${{1}}{kept}${{2}}")
    signed = plain.str.replace_all(r"(^|[\s(])-(\d)", "${1}\ue004${2}")
    return signed.str.replace_all(r"[\p{P}\p{Sk}\s]+", "")
