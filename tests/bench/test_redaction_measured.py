"""Redaction measured on the two folders of texts that docs/privacy.md reports: `pytest tests/bench -m slow -s`."""

import json
from pathlib import Path

import polars as pl
import pytest

from clworkbench.policy.finding import found
from clworkbench.policy.measured import Find, Measured, measure
from clworkbench.policy.measured_own import OwnMeasure, measure_own
from clworkbench.policy.planted import SPELLINGS, plant
from clworkbench.policy.presidio import SecondTier, tier

pytestmark = pytest.mark.slow

SPAN = {"row": pl.Int64, "kind": pl.String, "start": pl.Int64, "end": pl.Int64}


@pytest.fixture(scope="module")
def second() -> SecondTier:
    pytest.importorskip("presidio_analyzer", reason="the extra `privacy` is not installed")
    found_tier = tier("presidio")
    assert found_tier is not None
    if found_tier.model is None:
        pytest.skip("no spaCy model of names is installed")
    return found_tier


@pytest.fixture(scope="module")
def labelled(shared_data: Path) -> tuple[pl.Series, pl.DataFrame]:
    """2,109 texts with 4,055 labelled spans; the people in them are invented."""
    rows = json.loads((shared_data / "presidio_research" / "generated_large.json").read_text())
    told = [
        (n, span["entity_type"], span["start_position"], span["end_position"])
        for n, row in enumerate(rows)
        for span in row["spans"]
    ]
    return pl.Series([row["full_text"] for row in rows]), pl.DataFrame(told, schema=SPAN, orient="row")


@pytest.fixture(scope="module")
def complaints(shared_data: Path) -> pl.Series:
    """1,532 real complaints, in which the bureau that published them put XXXX for what is personal."""
    table = pl.read_csv(shared_data / "cfpb" / "complaints_sample.csv", skip_rows=2, infer_schema=False)
    return table["Consumer complaint narrative"].drop_nulls()


def both(second: SecondTier) -> Find:
    def find(texts: pl.Series) -> pl.DataFrame:
        return pl.concat([finds.select(list(SPAN)).cast(SPAN) for finds in (found(texts), second.found(texts))])

    return find


def as_it_comes(second: SecondTier) -> Find:
    """Presidio with its own recognizers, labels and thresholds, on the same model."""
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import SpacyNlpEngine

    model = str(second.model).split()[0]
    analyzer = AnalyzerEngine(nlp_engine=SpacyNlpEngine(models=[{"lang_code": "en", "model_name": model}]))

    def find(texts: pl.Series) -> pl.DataFrame:
        rows = [
            (row, result.entity_type, result.start, result.end)
            for row, text in enumerate(texts)
            for result in analyzer.analyze(text, "en")
        ]
        return pl.DataFrame(rows, schema=SPAN, orient="row")

    return find


def crossed_out(texts: pl.Series) -> pl.DataFrame:
    """Where somebody before us has taken something out."""
    rows = [(row, "REDACTED", at, at + len(run)) for row, text in enumerate(texts) for at, run in _runs(text)]
    return pl.DataFrame(rows, schema=SPAN, orient="row")


def _runs(text: str) -> list[tuple[int, str]]:
    at, runs = 0, []
    for part in text.split("XX"):
        runs.append((at + len(part), "XX"))
        at += len(part) + 2
    return runs[:-1]


def show(title: str, result: Measured | OwnMeasure) -> None:
    with pl.Config(tbl_rows=40, tbl_cols=20, tbl_width_chars=160, float_precision=3, tbl_hide_column_data_types=True):
        print(f"\n{title}: {result!r}\n{result.frame}")
        if isinstance(result, OwnMeasure):
            print(f"lookalikes taken: {result.n_lookalikes_taken} of {result.n_lookalikes}\n{result.missed}")
        else:
            taken = f"{result.n_taken:,} of {result.n_outside:,} characters outside labels"
            print(f"taken {taken}; touched {result.n_touched} of {result.n_clean} clean texts")


def test_labelled_texts_whose_people_are_invented(labelled: tuple[pl.Series, pl.DataFrame], second: SecondTier) -> None:
    texts, labels = labelled
    first = measure(texts, labels, found)
    show("tier one, invented people", first)
    result = measure(texts, labels, both(second))
    show("both tiers, invented people", result)
    rows = {row["kind"]: row for row in result.frame.iter_rows(named=True)}
    assert rows["PERSON"]["recall"] >= 0.65
    assert rows["PERSON"]["precision"] >= 0.9
    assert rows["US_DRIVER_LICENSE"]["recall"] == 1.0
    assert first.over_redaction < 0.0005
    assert result.over_redaction < 0.02


def test_real_complaints_that_were_redacted_before(complaints: pl.Series, second: SecondTier) -> None:
    result = measure(complaints, crossed_out(complaints), found)
    show("tier one, real complaints", result)
    assert result.over_redaction < 0.0001
    some = complaints.head(300)
    result = measure(some, crossed_out(some), both(second))
    show("both tiers, 300 real complaints", result)
    assert result.over_redaction < 0.01
    stock = measure(some, crossed_out(some), as_it_comes(second))
    show("Presidio as it comes, 300 real complaints", stock)
    assert result.over_redaction < 0.5 * stock.over_redaction


def test_values_planted_into_real_complaints(complaints: pl.Series, second: SecondTier) -> None:
    own = measure_own(complaints, seed=0, n=complaints.len())
    show("tier one, planted into real complaints", own)
    missed, planted = (dict(own.frame.select("kind", name).rows()) for name in ("missed", "planted"))
    assert all(missed[kind] <= 0.02 * planted[kind] for kind in ("CARD", "EMAIL", "IBAN", "IP", "SECRET", "SSN"))
    assert missed["PHONE"] <= 0.05 * planted["PHONE"]
    assert missed["NATIONAL_ID"] <= 0.05 * planted["NATIONAL_ID"]
    assert own.n_lookalikes_taken <= 0.02 * own.n_lookalikes
    two = measure_own(complaints, seed=0, n=500, second=second)
    show("both tiers, planted into real complaints", two)
    missed, planted = (dict(two.frame.select("kind", name).rows()) for name in ("missed", "planted"))
    assert missed["PERSON"] <= 0.4 * planted["PERSON"]
    assert two.n_lookalikes_taken <= 0.15 * two.n_lookalikes


def test_most_planted_phones_are_found_in_each_country(complaints: pl.Series) -> None:
    planted = plant(pl.concat([complaints] * 2), 5, ("PHONE",))
    finds = found(planted.texts).select("row", found_start="start", found_end="end")
    covers = (pl.col("found_start") <= pl.col("start")) & (pl.col("found_end") >= pl.col("end"))
    hit = (
        planted.spans.join(finds, on="row", how="left")
        .group_by("row", "spelling")
        .agg(covers.fill_null(value=False).any())
    )
    country = pl.col("spelling").str.split(":").list.first().alias("country")
    share = hit.group_by(country).agg(pl.col("found_start").mean().alias("hit"))
    assert share.height == len({name.split(":")[0] for name in SPELLINGS["PHONE"]})
    assert share.filter(pl.col("hit") < 0.75).rows() == []
