"""Where leaks are looked for, and up to what limits: what rows say, piece by piece, and what examples give away."""

from collections.abc import Callable, Sequence

import polars as pl

from clworkbench.training_sets.texts import asked, conversation, normalised

TELLING_WORDS, TELLING_CHARS = 4, 24
"""A message of so many words, or letters, gives a held-out question away by itself; 'thanks a lot' does not. Texts with
fewer letters have no near-duplicates: a word more would be another question."""

QUOTED_WORDS = 8
"""A phrase of so many words is looked for inside longer messages. Of banking77's questions that stand inside another,
61 of the 66 of 8 words or more stand in one of their own intent, and 73 % of the 613 that have 4 to 7."""

NEAR = 0.75
"""Near-duplicates share so much (`similarity.alike`): of 12 words, 1 differs. On banking77, with a fifth held out, 2 of
the 128 pairs that share as much are of different intents; at 0.7, 6 of 218; at 0.6, 44 of 582; at 0.8, none of 67."""

COMMON, COMMON_LEAST = 0.05, 3
"""What more than this share of the held-out texts, and at least so many, have in common is taken for a template."""

ANSWERS = ("completion", "chosen", "rejected")


def prompted(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of any kind of set with `prompt`, and what is expected as a `completion`.

    Of a reward row the prompt is the dialogue less its last message.
    """
    if "expected" in rows.columns and "completion" not in rows.columns:
        words = pl.struct(role=pl.lit("assistant"), content="expected")
        rows = rows.with_columns(completion=pl.concat_list(words))
    if "prompt" in rows.columns:
        return rows
    whole = pl.col("chosen")
    return rows.with_columns(prompt=whole.list.head((whole.list.len().cast(pl.Int64) - 1).clip(0)))


def pieces(rows: pl.DataFrame) -> pl.DataFrame:
    """What rows with `prompt` say: one row for each piece of text, `row` (its number), `part`, `text` and `plain`.

    Parts: `said` (the whole prompt but its system messages), `asked` (a user's message, also one within an answer that
    is the rest of a run), `joined` (all of the prompt's, where they are several), `beside` (another message of the
    prompt), `answer` (a message of an answer).
    """
    rows = rows.with_row_index("row")
    message = pl.element().struct
    beside = pl.when(message.field("role") != "user").then(message.field("content"))
    users = asked(pl.col("prompt"))
    parts = [
        rows.select("row", part=pl.lit("said"), text=conversation(pl.col("prompt"))),
        rows.select("row", part=pl.lit("asked"), text=users).explode("text"),
        *(
            rows.select("row", part=pl.lit("asked"), text=asked(pl.col(name))).explode("text", empty_as_null=False)
            for name in ANSWERS
            if name in rows.columns
        ),
        rows.filter(users.list.len() > 1).select("row", part=pl.lit("joined"), text=users.list.join("\n")),
        rows.select("row", part=pl.lit("beside"), text=pl.col("prompt").list.eval(beside)).explode("text"),
        *(
            rows.select("row", part=pl.lit("answer"), text=pl.col(name).list.eval(message.field("content"))).explode(
                "text"
            )
            for name in ANSWERS
            if name in rows.columns
        ),
    ]
    found = pl.concat(parts).drop_nulls("text").with_columns(key=pl.col("text").hash(2026))
    known = found.unique("key").select("key", plain=normalised(pl.col("text")))
    return found.join(known, on="key", how="left", maintain_order="left").drop("key")


def having(
    found: pl.DataFrame, parts: Sequence[str], test: Callable[[pl.Series], pl.Series], column: str = "plain"
) -> pl.Series:
    """The numbers of the rows of which one of these parts passes a test of distinct texts (a Boolean for each)."""
    some = found.filter(pl.col("part").is_in(parts))
    distinct = some[column].unique()
    passed = distinct.filter(test(distinct).fill_null(value=False))
    return some.filter(pl.col(column).is_in(passed.implode()))["row"].unique()


def is_telling(plain: pl.Series) -> pl.Series:
    """Whether normalised texts are long enough to give something away by themselves."""
    return (n_words(plain) >= TELLING_WORDS) | (plain.str.len_chars() >= TELLING_CHARS)


def n_words(plain: pl.Series) -> pl.Series:
    """Words of normalised texts."""
    return plain.str.count_matches(" ") + (plain.str.len_bytes() > 0)


def questions(examples: pl.DataFrame) -> pl.Series:
    """The last question of each example, normalised; null where nobody asks."""
    return examples.select(question=normalised(asked(pl.col("input")).list.last()))["question"]


def requests(examples: pl.DataFrame) -> pl.DataFrame:
    """What near-duplicates are looked for of: `example` (its number) and `plain`, its last question and all of them."""
    users = asked(pl.col("input"))
    both = examples.with_row_index("example").select(
        "example", text=pl.concat_list(users.list.last(), users.list.join("\n"))
    )
    found = both.explode("text").drop_nulls("text").select("example", plain=normalised(pl.col("text"))).unique()
    return found.filter(pl.col("plain").str.len_chars() >= TELLING_CHARS)


def expected_phrases(examples: pl.DataFrame) -> pl.Series:
    """Expected answers, normalised, of many words, which only one question has: others are labels and stock phrases."""
    said = examples.select(plain=normalised(pl.col("expected")), question=questions(examples))
    many = said.filter(n_words(said["plain"]) >= QUOTED_WORDS)
    return many.group_by("plain").agg(n=pl.col("question").n_unique()).filter(pl.col("n") == 1)["plain"]


def quoted(plain: pl.Series, phrases: pl.Series) -> pl.Series:
    """Which of these normalised phrases of many words stand, as whole words, in one of some normalised texts."""
    wanted = _framed(phrases.drop_nulls().unique())
    if wanted.is_empty():
        return phrases.clear()
    found = _framed(plain).to_frame("text").select(pl.col("text").str.extract_many(wanted.to_list(), overlapping=True))
    return found["text"].explode(empty_as_null=False).drop_nulls().unique().str.strip_chars(" ")


def quotes(plain: pl.Series, phrases: pl.Series) -> pl.Series:
    """Whether each normalised text holds one of these normalised phrases, as whole words."""
    wanted = _framed(phrases.drop_nulls().unique())
    if wanted.is_empty():
        return pl.Series([False] * len(plain), dtype=pl.Boolean)
    return _framed(plain).to_frame("text").select(pl.col("text").str.contains_any(wanted.to_list()))["text"]


def _framed(plain: pl.Series) -> pl.Series:
    return plain.to_frame("text").select(pl.format(" {} ", "text"))["text"]
