"""Drift: what changed from one window of signals to another, by a test and a minimum effect, and what it did."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

import numpy as np
import polars as pl

from clworkbench import expressions
from clworkbench.errors import ExpressionError
from clworkbench.similarity.embeddings import HASHED
from clworkbench.slices.drift_report import COLUMNS, PARTS, DriftReport
from clworkbench.slices.harm import GRAVEST, SETTLED, Change, Harm, changed, further, harm
from clworkbench.slices.looked import ENOUGH, Looked, looked
from clworkbench.slices.slice import Slice
from clworkbench.slices.windows import Windows, windows
from clworkbench.statistics.multiplicity import holm

ALPHA = 0.05
LEAST = {
    "kolmogorov-smirnov": 0.1, "chi-square": 0.07, "domain classifier": 0.55, "mean discrepancy": 0.05,
}  # fmt: skip
"""The least score of a drift by its test: standard deviations, Jensen-Shannon distance, area under the ROC curve,
maximum mean discrepancy. A shift that is sure but smaller is not worth a person's time: of two equally frequent values
0.07 is a shift of ten points, and a new value reaches it with three in two hundred signals."""

MOVED = 0.01
"""A part of a drifted column is told where its share of the signals moved by a hundredth."""

TOLD = 6
"""Parts of a column that are told, those that moved most."""


def drift(
    before: pl.DataFrame,
    now: pl.DataFrame,
    *,
    columns: Sequence[str],
    salt: str,
    slices: Sequence[Slice] = (),
    model: str = HASHED,
    history: pl.DataFrame | None = None,
    title: str = "now against before",
) -> DriftReport:
    """Hold a window of signals against one before it.

    One signal of each conversation is drawn by keyed hash, at most 20,000 a window, and of texts 2,000. A column
    drifted where its test is significant at 5 %, adjusted over all that is tested (Holm), and its score reaches the
    least effect of its test (`LEAST`). Then the parts of it that moved are held against their settled outcomes.

    Args:
        before: signals; pending outcomes are null in `outcome`.
        now: likewise, with the same columns.
        columns: what is compared: texts and Booleans by value, numbers; `attributes.a.b`, and `attributes` for
            all keys with few values; `text`, the last thing the user said, by its length, wording, vectors and topics.
        salt: key of the draw.
        slices: their shares are compared as well.
        model: of the vectors, as `similarity.embeddings.embed` takes it.
        history: the signals that outcomes before are taken from, where `before` was chosen by its outcomes, as a
            training set is; `before` itself when None.
        title: which windows these are, in words.

    Raises:
        ExpressionError: a column is not there, or a slice cannot be read.
        ModelError: there is no such model.
        ClwError: Evidently is not installed.
    """
    unknown = [name for name in columns if not (name in before.columns or name.startswith("attributes."))]
    if unknown:
        raise ExpressionError(_unknown(unknown[0], before.columns))
    compared = windows(before, now, salt=salt)
    held = compared if history is None else windows(history, now, salt=salt)
    whole = held.whole
    counts = _counts(before, now, compared)
    if reason := _too_few(counts) or ("" if history is None else _no_past(history)):
        return DriftReport(
            pl.DataFrame(schema=COLUMNS), pl.DataFrame(schema=PARTS), _overall(whole), counts, {}, title, reason
        )
    skipped: dict[str, str] = {}
    past = None if history is None else held.drawn.filter(~pl.col("is_now"))
    tested = list(looked(compared.drawn, columns, slices, model, skipped, past))
    frame = _judged(tested)
    overall = _overall(whole)
    fell = harm(overall, overall.p)
    parts = _parts(tested, frame, whole, beyond=fell == "worse")
    # That all outcomes fell is no harm by what drifted.
    frame = frame.with_columns(harm=_worst(frame, parts, "unclear" if fell == "worse" else fell))
    why = None if tested else "not enough data: no column can be compared"
    return DriftReport(frame, parts, overall, counts, skipped, title, why)


def drifted(report: DriftReport, signals: pl.DataFrame) -> pl.Series:
    """Whether each signal is in a part that drifted and grew: what the model sees more of than it did.

    Parts that no expression selects (topics, and a change of wording) hold no signal here.

    Args:
        report: of a drift.
        signals: with the columns that were compared.

    Raises:
        ExpressionError: a column is not there.
    """
    inside = pl.repeat(value=False, n=signals.height, dtype=pl.Boolean, eager=True)
    for expression in grown(report.parts)["expression"]:
        inside |= expressions.holds(signals, expression, where="drift")
    return inside.alias("drifted")


def grown(parts: pl.DataFrame) -> pl.DataFrame:
    """The parts that grew and that an expression selects, those that grew most first."""
    by = pl.col("share_now") - pl.col("share_before")
    return parts.filter(by > 0, pl.col("expression").is_not_null()).sort(by, descending=True, maintain_order=True)


def _unknown(name: str, columns: Sequence[str]) -> str:
    close = get_close_matches(name, columns, n=1)
    return f"columns: no column {name!r} among {columns}.\n{f'Did you mean {close[0]}?' if close else 'Name one.'}"


def _counts(before: pl.DataFrame, now: pl.DataFrame, compared: Windows) -> dict[str, int]:
    n_now = int(compared.drawn["is_now"].sum())
    drawn = {"drawn_before": compared.drawn.height - n_now, "drawn_now": n_now}
    return {"signals_before": before.height, "signals_now": now.height, **drawn}


def _too_few(counts: Mapping[str, int]) -> str | None:
    for side, words in (("before", "window before"), ("now", "window that is looked at")):
        n = counts[f"drawn_{side}"]
        if n < ENOUGH:
            had = f"{counts[f'signals_{side}']:,} signals in {n:,} conversations" if n else "no signals"
            return f"not enough data: the {words} has {had}; {ENOUGH} conversations are needed. Take a longer window."
    return None


def _no_past(history: pl.DataFrame) -> str:
    if history.height:
        return ""
    return (
        "not enough data: the training set was learned from the very days that are looked at, so that no outcomes are "
        "older. Take a shorter window, or hold it against the days before it."
    )


def _judged(looked: Sequence[Looked]) -> pl.DataFrame:
    """One row for each column, as `DriftReport.frame`, without its harm."""
    adjusted = holm([one.tested.p for one in looked])
    rows = []
    for one, p in zip(looked, adjusted, strict=True):
        n_now = int(one.rows["is_now"].sum())
        least = LEAST[one.test]
        row = {"name": one.name, "kind": one.kind, "test": one.test, "n_before": one.rows.height - n_now}
        row |= {"n_now": n_now, "score": one.tested.score, "least": least, "p": one.tested.p, "p_adjusted": p}
        rows.append(row | {"drifted": p <= ALPHA and one.tested.score >= least, "harm": None})
    return pl.DataFrame(rows, schema=COLUMNS)


def _parts(looked: Sequence[Looked], frame: pl.DataFrame, whole: pl.DataFrame, *, beyond: bool) -> pl.DataFrame:
    """The parts of drifted columns that moved, as `DriftReport.parts`; `beyond` what all others fell by, or at all."""
    rows: list[dict[str, object]] = []
    changes: list[Change] = []
    for one, drifted_ in zip(looked, frame["drifted"], strict=True):
        if not drifted_ or one.codes is None:
            continue
        for part, before, now in _moved(one):
            change, new = _change(one, part, whole, hardly=before < MOVED, beyond=beyond)
            row: dict[str, object] = {"column": one.name, "part": one.words[part], "expression": one.parts[part]}
            rows.append(row | {"share_before": before, "share_now": now, "new": new})
            changes.append(change)
    known = [change.p for change in changes if change.p is not None]
    adjusted = iter(holm(known))
    for row, change in zip(rows, changes, strict=True):
        p = next(adjusted) if change.p is not None else None
        row |= change._asdict() | {"p_adjusted": p, "harm": harm(change, p)}
    return pl.DataFrame([{name: row[name] for name in PARTS} for row in rows], schema=PARTS)


def _moved(one: Looked) -> list[tuple[int, float, float]]:
    """The parts whose share moved, those that moved most first: number, share before and now."""
    assert one.codes is not None
    is_now = one.rows["is_now"].to_numpy()
    n = len(one.parts)
    before = np.bincount(one.codes[~is_now], minlength=n) / max(1, (~is_now).sum())
    now = np.bincount(one.codes[is_now], minlength=n) / max(1, is_now.sum())
    can_be_told = [part is not None or one.kind == "topic" for part in one.parts]
    moved = np.where(can_be_told, np.abs(now - before), 0)
    order = np.argsort(-moved, kind="stable")[:TOLD]
    return [(int(part), float(before[part]), float(now[part])) for part in order if moved[part] >= MOVED]


def _change(one: Looked, part: int, whole: pl.DataFrame, *, hardly: bool, beyond: bool) -> tuple[Change, bool]:
    """What happened to the outcomes of a part, in all signals where an expression selects it, else in those read.

    One that was hardly there before is new, as told beside it: it is held against all outcomes before.
    """
    expression = one.parts[part]
    if expression is not None:
        rows, inside = whole, expressions.holds(whole, expression, where=one.name)
    else:
        assert one.codes is not None
        rows = one.rows.with_columns(part=pl.Series(one.codes)) if one.of_past is None else one.of_past
        rows = rows.with_columns(unit=pl.int_range(pl.len()))
        inside = rows["part"] == part
    change = _outcomes(rows, inside)
    new = hardly and change.n_before + change.pending_before < SETTLED <= change.n_now
    if new:
        change = _outcomes(rows, inside | ~rows["is_now"])
    return change._replace(p=further(change, _outcomes(rows, ~inside))) if beyond else change, new


def _outcomes(rows: pl.DataFrame, inside: pl.Series) -> Change:
    known = rows.schema.get("outcome") == pl.Boolean
    outcome = rows["outcome"] if known else pl.Series([None], dtype=pl.Boolean).new_from_index(0, rows.height)
    return changed(outcome, inside, rows["is_now"], rows["unit"])


def _overall(whole: pl.DataFrame) -> Change:
    return _outcomes(whole, pl.repeat(value=True, n=whole.height, dtype=pl.Boolean, eager=True))


def _worst(frame: pl.DataFrame, parts: pl.DataFrame, overall: Harm) -> pl.Series:
    """The harm of each drifted column; null where nothing drifted.

    That of the gravest of its parts that grew; that of all signals where none did.
    """
    grew = pl.col("share_now") > pl.col("share_before")
    by_column = dict(parts.filter(grew).group_by("column").agg("harm").iter_rows())
    drifted_ = frame.filter("drifted")["name"]
    found = {name: next((word for word in GRAVEST if word in by_column.get(name, ())), overall) for name in drifted_}
    return frame["name"].replace_strict(found, default=None, return_dtype=pl.String).alias("harm")
