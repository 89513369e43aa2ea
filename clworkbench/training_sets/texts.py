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


def called(messages: pl.Expr) -> pl.Expr:
    """What the assistant's last message calls, as a JSON list of name and arguments; null where it calls nothing."""
    message = pl.element().struct
    calls = messages.list.eval(message.field("tool_calls").filter(message.field("role") == "assistant")).list.last()
    each = pl.struct(message.field("name"), message.field("arguments")).struct.json_encode()
    return pl.when(calls.list.len() > 0).then(pl.format("[{}]", calls.list.eval(each).list.join(",")))


def normalised(text: pl.Expr) -> pl.Expr:
    """Letters and digits in lower case, one space between words: 'Where is my card?!' is 'where is my card'."""
    lowered = text.str.normalize("NFKC").str.to_lowercase()
    return lowered.str.replace_all(r"[^\p{L}\p{N}]+", " ").str.strip_chars()


SIGNS = r"[\p{S}\p{M}*/%]|(?:^|[^\p{L}])-"
"""What makes another question of the same letters and digits: 3 + 5, 3 - 5, vowel signs."""


def question(messages: pl.Expr, tools: pl.Expr) -> pl.Expr:
    """What two prompts must share to be the same question: words, signs, system prompt and tools; not punctuation."""
    message = pl.element().struct
    system = messages.list.eval(message.field("content").filter(message.field("role") == "system"))
    said = conversation(messages)
    signs = said.str.normalize("NFKC").str.extract_all(SIGNS).list.join("")
    return pl.concat_str(
        [normalised(said), signs, normalised(system.list.drop_nulls().list.join("\n")), tools.fill_null("")],
        separator="\x1f",
    )


def canonical_json(messages: pl.Expr) -> pl.Expr:
    """A list of messages as one JSON text, to compare and to hash."""
    return pl.struct(messages.alias("messages")).struct.json_encode()
