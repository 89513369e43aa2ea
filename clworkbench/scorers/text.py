"""Scores of plain text: the same, the same words, some words, a pattern, or an overlap of words."""

import re

import polars as pl

WORD = re.compile(r"[^\W_]+")


def exact_match(outputs: pl.Series, expected: pl.Series) -> pl.Series:
    """1 where output and expected answer are the same text but for white space; letters' case counts.

    White space at the ends is left out, and each run of it within counts as one blank. Null where no answer is
    expected; 0 where there is no output.
    """
    return _graded(_squeezed(outputs) == _squeezed(expected), expected)


def normalised_match(outputs: pl.Series, expected: pl.Series) -> pl.Series:
    """1 where both say the same words, whatever their case, punctuation and Unicode form.

    Null where no answer, or none with a letter or a digit, is expected; 0 where there is no output.
    """
    said, wanted = normalised(outputs), normalised(expected)
    return _graded(said == wanted, wanted.set(wanted == "", None))


def contains(outputs: pl.Series, expected: pl.Series) -> pl.Series:
    """1 where the expected words stand in the output one after the other, in any case and with any punctuation.

    Whole words: 'card' does not stand in 'discard'. Null where no words are expected.
    """
    said, wanted = (pl.format(" {} ", normalised(texts)) for texts in (outputs, expected))
    found = pl.select(found=said.str.contains(wanted, literal=True))["found"]
    return _graded(found, normalised(expected).replace("", None))


def matches(outputs: pl.Series, patterns: pl.Series) -> pl.Series:
    """1 where the expected pattern is found in the output; null where there is none, or it is no regular expression.

    Rust's syntax (the `regex` crate): no look-around, no back-references, and time linear in the text.
    """
    pairs = pl.DataFrame({"said": outputs.cast(pl.String), "pattern": patterns.cast(pl.String)})
    looked = pairs.select(
        found=pl.col("said").str.contains(pl.col("pattern"), strict=False),
        read=pl.lit("").str.contains(pl.col("pattern"), strict=False).cast(pl.String),
    )
    return _graded(looked["found"], looked["read"])


def rouge_l(outputs: pl.Series, expected: pl.Series) -> pl.Series:
    """F-measure (0 to 1) of the longest common subsequence of words; null where no words are expected.

    Words are runs of letters and digits in lower case, without stemming; precision and recall weigh the same.

    Source: Lin 2004, ROUGE: A Package for Automatic Evaluation of Summaries, section 3.1 (beta = 1).
    """
    pairs = zip(outputs.cast(pl.String), expected.cast(pl.String), strict=True)
    return pl.Series("score", [_rouge_l(said or "", wanted) for said, wanted in pairs], dtype=pl.Float64)


def normalised(texts: pl.Series) -> pl.Series:
    """Letters and digits in lower case, one blank between words: 'Where is my card?!' is 'where is my card'."""
    lowered = texts.cast(pl.String).str.normalize("NFKC").str.to_lowercase()
    return lowered.str.replace_all(r"[^\p{L}\p{M}\p{N}]+", " ").str.strip_chars()


def _graded(right: pl.Series, gradable: pl.Series) -> pl.Series:
    return right.fill_null(value=False).cast(pl.Float64).set(gradable.is_null(), None).rename("score")


def _squeezed(texts: pl.Series) -> pl.Series:
    return texts.cast(pl.String).str.replace_all(r"\s+", " ").str.strip_chars()


def _rouge_l(said: str, wanted: str | None) -> float | None:
    ours, theirs = WORD.findall(said.lower()), WORD.findall((wanted or "").lower())
    if not theirs:
        return None
    return 2 * longest_common(ours, theirs) / (len(ours) + len(theirs))


def longest_common(ours: list[str], theirs: list[str]) -> int:
    """Length of the longest common subsequence, with a bit for each word of `ours`.

    Source: Hyyrö 2004, Bit-parallel LCS-length computation revisited, section 2.
    """
    places: dict[str, int] = {}
    for place, word in enumerate(ours):
        places[word] = places.get(word, 0) | 1 << place
    every = (1 << len(ours)) - 1
    unmatched = every
    for word in theirs:
        hit = unmatched & places.get(word, 0)
        unmatched = ((unmatched + hit) | (unmatched - hit)) & every
    return len(ours) - unmatched.bit_count()
