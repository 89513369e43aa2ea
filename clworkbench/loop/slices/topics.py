"""Topics: what signals are about, by clusters of their texts."""

from pathlib import Path
from typing import NamedTuple

import polars as pl

from clworkbench.display.progress import Advance, silent
from clworkbench.similarity.clusters import clusters
from clworkbench.similarity.embeddings import HASHED, embed
from clworkbench.similarity.minhash import near_duplicates
from clworkbench.similarity.terms import names

MANY = 20_000
"""Texts beyond which a sentence model would take minutes on a CPU."""

OF_A_TOPIC = 200
"""Texts by which a topic is named."""


class Clustered(NamedTuple):
    """The cluster of each text (null without one), and in words how it was made."""

    groups: pl.Series
    said: str


def clustered(
    texts: pl.Series, groups: pl.Series, model: str | None, k: int | None, cache: Path | None, advance: Advance
) -> Clustered:
    """The cluster of each text, by the example of its group of duplicates."""
    examples = groups.drop_nulls().unique().sort()
    said = texts.gather(examples)
    made = embed(said, HASHED if model is None and len(said) > MANY else model, cache=cache, advance=advance)
    told = clusters(made, k=k)
    by_example = pl.DataFrame({"group": examples, "cluster": told.frame["cluster"]})
    joined = groups.to_frame("group").join(by_example, on="group", how="left", maintain_order="left")["cluster"]
    return Clustered(joined, f"clusters ({made.model}; {told.note})")


def topics(texts: pl.Series, *, model: str | None = None, advance: Advance = silent) -> pl.Series:
    """The topic of each text, such as `2: parcel · late`: its cluster, and the terms that tell it from others.

    Args:
        texts: what was said; null and empty ones have no topic.
        model: of the embeddings, as `similarity.embeddings.embed` takes it; when None, its default, or hashed n-grams
            for more than 20,000 different texts.
        advance: told how far it is.
    """
    groups = near_duplicates(texts, advance=advance)["group"]
    found = clustered(texts, groups, model, None, None, advance).groups
    some = pl.DataFrame({"text": texts, "group": found}).drop_nulls()
    some = some.filter(pl.int_range(pl.len()).over("group") < OF_A_TOPIC)
    called = names(some["text"], some["group"])
    joined = found.to_frame("group").join(called, on="group", how="left", maintain_order="left")
    return joined.select(topic=pl.concat_str("group", "name", separator=": ", ignore_nulls=True).replace("", None))[
        "topic"
    ]
