"""The text of a conversation, raw and normalised, as duplicates and leaks are looked for in it."""

import polars as pl


def conversation(messages: pl.Expr) -> pl.Expr:
    """All that was said in a list of messages but the system prompts, a line each."""
    message = pl.element().struct
    said = pl.when(message.field("role") != "system").then(message.field("content"))
    return messages.list.eval(said).list.drop_nulls().list.join("\n")


def asked(messages: pl.Expr) -> pl.Expr:
    """The texts of the user's messages, a list."""
    message = pl.element().struct
    return messages.list.eval(pl.when(message.field("role") == "user").then(message.field("content"))).list.drop_nulls()


def normalised(text: pl.Expr) -> pl.Expr:
    """Letters and digits in lower case, one space between words: 'Where is my card?!' is 'where is my card'."""
    lowered = text.str.normalize("NFKC").str.to_lowercase()
    return lowered.str.replace_all(r"[^\p{L}\p{N}]+", " ").str.strip_chars()


def canonical_json(messages: pl.Expr) -> pl.Expr:
    """A list of messages as one JSON text, to compare and to hash."""
    return pl.struct(messages.alias("messages")).struct.json_encode()
