"""Telling terms: the words that set the texts of a group apart from the rest."""

import polars as pl

from clworkbench.similarity.masked import masked

WORD = r"[\p{L}\p{M}][\p{L}\p{M}'\x{2019}-]{1,39}"
"""Letters only: neither markup nor control characters can become part of a group's name."""

LONGEST = 2_000
"""Characters of a text that are read."""

PRIOR = 0.01
"""How much of the corpus's own use of a term is added to each side as if it had been seen there."""

CLEAR = 1.96


def telling_terms(texts: pl.Series, groups: pl.Series, *, n: int = 5) -> pl.DataFrame:
    """Words and pairs of words that a group's texts hold more often than all other texts.

    Texts are masked first; a term counts once in a text, so that no single text makes a name.

    Args:
        texts: one for each row; nulls hold no term.
        groups: the group of each text; null texts and groups count neither here nor there.
        n: terms a group, at most.

    Returns:
        One row for each group and term, the most telling first: `group`, `term`, `z` (log-odds ratio in standard
        errors, only above 1.96), `inside`, `outside` (texts that hold it).

    Source: Monroe, Colaresi and Quinn 2008, "Fightin' Words", Political Analysis 16:372-403, eqs. (15), (16), (19)
        to (22): log-odds with an informative Dirichlet prior.
    """
    rows = pl.DataFrame({"text": texts.cast(pl.String), "group": groups}).drop_nulls().with_row_index("row")
    counted = _terms(rows).group_by("group", "term").agg(inside=pl.len().cast(pl.Int64))
    in_all, prior = pl.col("inside").sum().over("term"), pl.lit(PRIOR)
    own, every = pl.col("inside").sum().over("group"), pl.col("inside").sum()
    found = counted.with_columns(
        outside=in_all - pl.col("inside"), prior=prior * in_all, own=own, rest=every - own, prior_of_all=prior * every
    )
    inside, outside = pl.col("inside") + pl.col("prior"), pl.col("outside") + pl.col("prior")
    odds_inside = inside / (pl.col("own") + pl.col("prior_of_all") - inside)
    odds_outside = outside / (pl.col("rest") + pl.col("prior_of_all") - outside)
    z = (odds_inside.log() - odds_outside.log()) / (1 / inside + 1 / outside).sqrt()
    telling = found.with_columns(z=z).filter(pl.col("z") > CLEAR, pl.col("inside") > 1)
    # Of terms that tell as much, the longer says more.
    ranked = telling.sort(
        "group", pl.col("z").round(6), pl.col("term").str.len_chars(), "term", descending=[False, True, True, False]
    )
    return ranked.group_by("group", maintain_order=True).head(n).select("group", "term", "z", "inside", "outside")


def names(texts: pl.Series, groups: pl.Series, *, n: int = 3) -> pl.DataFrame:
    """A name for each group that has telling terms: `group`, `name` (its terms, a word in two terms only once)."""
    found = telling_terms(texts, groups, n=4 * n)
    called = []
    for group, terms in found.group_by("group", maintain_order=True).agg("term").iter_rows():
        kept: list[str] = []
        for term in terms:
            if not set(term.split()) & {word for other in kept for word in other.split()}:
                kept.append(term)
        called.append((group, " · ".join(kept[:n])))
    return pl.DataFrame(called, schema={"group": groups.dtype, "name": pl.String}, orient="row")


def _terms(rows: pl.DataFrame) -> pl.DataFrame:
    """One row for each text and term in it: `row`, `group`, `term`."""
    words = (
        rows.select("row", "group", term=masked(pl.col("text").str.head(LONGEST)).str.extract_all(WORD))
        .explode("term")
        .drop_nulls("term")
    )
    follows = pl.col("term").shift(-1).over("row")
    pairs = words.with_columns(term=pl.concat_str("term", pl.lit(" "), follows)).drop_nulls("term")
    return pl.concat([words, pairs]).unique()
