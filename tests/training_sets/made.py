"""Hand-made signals, labels and feedback, and what a build makes of them."""

from datetime import UTC, datetime

import polars as pl

from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.schemas import FEEDBACK, INTERACTIONS, LABELS, MESSAGES, SUITE
from clworkbench.training_sets.descent import BuiltSet, Rules
from clworkbench.training_sets.preference import build_preference
from clworkbench.training_sets.reward import build_reward
from clworkbench.training_sets.statements import Opinions, ratings
from clworkbench.training_sets.unpaired import build_unpaired

KEY = Pseudonyms(b"k" * 32)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ALL = Rules(holdout=0.0)
VIEW = {
    **INTERACTIONS,
    "outcome": pl.Boolean,
    "outcome_thumbs": pl.Boolean,
    "conflict": pl.Boolean,
    "improvement": MESSAGES,
    "improvement_id": pl.String,
    "improvement_origin": pl.String,
    "feedback_ids": pl.List(pl.String),
}
ASKED = {"interaction_id": pl.String, "source": pl.String, "options": pl.List(pl.String)}


def said(role: str, text: str) -> dict[str, str]:
    return {"role": role, "content": text}


def signal(name: str, asked: str, answer: str, **more: object) -> dict[str, object]:
    row: dict[str, object] = {
        "interaction_id": name,
        "started_at": NOON,
        "input": [said("user", asked)],
        "output": [said("assistant", answer)],
        "feedback_ids": [],
        "source": "app",
    }
    return row | more


def signals(*rows: dict[str, object]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=VIEW)


def label(name: str, about: str, question: str, value: str | None = None, **more: object) -> dict[str, object]:
    row: dict[str, object] = {"label_id": name, "interaction_id": about, "question": question, "value": value}
    return {**row, "status": "submitted", "at": NOON, "source": "argilla/review", **more}


def labels(*rows: dict[str, object]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=LABELS)


def voice(own: str, about: str, better: str | None = None, **more: object) -> dict[str, object]:
    row: dict[str, object] = {"feedback_id": own, "interaction_id": about, "kind": "correction", "at": NOON}
    return row | ({"improvement": [said("assistant", better)]} if better is not None else {}) | more


def opinions(
    *voices: dict[str, object], labels: pl.DataFrame | None = None, asked: dict[str, list[str]] | None = None
) -> Opinions:
    shown = [{"interaction_id": own, "source": "argilla/review", "options": ids} for own, ids in (asked or {}).items()]
    return Opinions(
        pl.DataFrame(schema=LABELS) if labels is None else labels,
        pl.DataFrame(shown, schema=ASKED),
        pl.DataFrame(list(voices), schema={**FEEDBACK, "interaction_id": pl.String}),
    )


NOTHING_HELD = pl.DataFrame(schema=SUITE)


def preference(found: pl.DataFrame, told: Opinions, rules: Rules = ALL) -> BuiltSet:
    return whole(build_preference(found, told, NOTHING_HELD, rules, KEY))


def reward(found: pl.DataFrame, told: Opinions, best: int = 5) -> BuiltSet:
    rated = ratings(told, {"argilla/review": best})
    return whole(build_reward(found, told, rated, NOTHING_HELD, ALL, KEY))


def unpaired(found: pl.DataFrame, judged: pl.DataFrame | None = None, rules: Rules = ALL) -> BuiltSet:
    judged = pl.DataFrame(schema=LABELS) if judged is None else judged
    return whole(build_unpaired(found, judged, NOTHING_HELD, rules, KEY))


def whole(made: BuiltSet) -> BuiltSet:
    """The set, whose waterfall adds up."""
    turned = made.turned.rows - made.turned.signals if made.turned else 0
    assert made.n_signals + turned == sum(made.dropped.values()) + made.frame.height
    assert min(made.dropped.values()) >= 0
    return made


def taken(made: BuiltSet) -> dict[str, int]:
    return {reason: n for reason, n in made.dropped.items() if n}


def texts(made: BuiltSet, *columns: str) -> list[tuple[str, ...]]:
    """The last words in these columns, row by row, in order of the words."""
    found = made.frame.select(pl.col(name).list.last().struct.field("content").alias(name) for name in columns)
    return sorted(found.iter_rows())
