"""Cards: candidates and all that a person needs to decide, as the records of one data set."""

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from clworkbench.labels import conversation
from clworkbench.labels.literal import TEXT, beginning, visible, wide_as_entities, without_hidden
from clworkbench.labels.questions import QUESTIONS, answer_names, compares, judges
from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.settings import QuestionSet

IMPROVEMENT = "improvement"
"""The option that stands for the better answer which production gave; others are interaction ids."""

FEWEST, MOST = 2, 4
"""How many answers can be compared at once."""

TERM = 200
"""Characters of what a record is found by."""

PRODUCTION = "production"
"""The agent of a suggestion that a person in production wrote."""

TEXTS = ("id", "input", "output", "improvement", "tools")
"""What was said in each interaction, as it may leave."""


@dataclass(frozen=True)
class Suggestion:
    """What is filled in already when the card is opened."""

    question: str
    value: str | list[str]
    agent: str | None = None
    score: float | None = None


@dataclass(frozen=True)
class Card:
    """One record of a data set.

    Attributes:
        interaction_id: the signal that it is about.
        candidate_id: the candidate; None for a signal that somebody named, and for gold.
        gold: whether the right answer is known.
        options: what `answer_1`, `answer_2`, … stand for: interaction ids, or `improvement`.
        fields: what is shown, escaped.
        metadata: what it is found by.
        suggestions: what is filled in already.
    """

    interaction_id: str
    candidate_id: str | None
    gold: bool
    options: tuple[str, ...]
    fields: Mapping[str, object]
    metadata: Mapping[str, object]
    suggestions: tuple[Suggestion, ...]


def alternatives(chosen: pl.DataFrame, signals: pl.DataFrame) -> pl.DataFrame:
    """The different answers that were given where a signal's was: its own, production's correction, others' answers.

    Args:
        chosen: `interaction_id` of the signals that are asked about.
        signals: all that may be shown, with `said` (the conversation before the answer, normalised), `answer`,
            `improvement_text`, `model`, `started_at` and `error`.

    Returns:
        One row for each chosen signal: `interaction_id` and `options`, at most four ids of interactions or
        `improvement`, the signal's own first, then the correction, then other models' before the same model's, the
        latest first. Answers of the same words are one option; what failed, or says nothing in words, is none.
    """
    spoken = pl.col("answer").str.strip_chars()
    good = signals.filter(spoken.str.len_chars() > 0, pl.col("error").is_null()).with_columns(words=spoken)
    own = good.join(chosen.select("interaction_id"), on="interaction_id", how="semi")
    corrected = pl.col("improvement_text").str.strip_chars()
    others = (
        good.filter(pl.col("said").str.len_chars() > 0)
        .sort("started_at", "interaction_id", descending=True, nulls_last=True)
        .unique(["said", "words", "model"], keep="first", maintain_order=True)
        .select("said", "words", option="interaction_id", by="model", at="started_at")
        .join(own.select("interaction_id", "said", "model"), on="said")
        .filter(pl.col("option") != pl.col("interaction_id"))
        .with_columns(turn=pl.when(pl.col("by").ne_missing(pl.col("model"))).then(2).otherwise(3))
    )
    columns = ["interaction_id", "option", "words", "turn", "at"]
    found = [
        own.with_columns(option="interaction_id", turn=pl.lit(0), at="started_at"),
        own.with_columns(option=pl.lit(IMPROVEMENT), words=corrected, turn=pl.lit(1), at="started_at"),
        others,
    ]
    return (
        pl.concat([rows.select(*columns) for rows in found], how="vertical_relaxed")
        .filter(pl.col("words").str.len_chars() > 0)
        .sort("interaction_id", "turn", "at", "option", descending=[False, False, True, False], nulls_last=True)
        .unique(["interaction_id", "words"], keep="first", maintain_order=True)
        .group_by("interaction_id", maintain_order=True)
        .agg(options=pl.col("option").head(MOST))
    )


def usual_number(options: pl.Series) -> int:
    """How many answers a new data set compares: as many as at least half of the comparable candidates have.

    Every record of a ranking must fill the same places, so that this is settled once.
    """
    counts = options.list.len().filter(options.list.len() >= FEWEST)
    return int(counts.quantile(0.5, "higher") or FEWEST) if len(counts) else FEWEST


def cards(
    asked: QuestionSet, rows: pl.DataFrame, texts: pl.DataFrame, *, n_answers: int, pseudonyms: Pseudonyms
) -> list[Card]:
    """A card for each row, in their order, less those whose answers turn out the same when personal data is out.

    Args:
        asked: the question set.
        rows: `interaction_id`, `candidate_id`, `gold`, `reasons`, `slices`, `model`, `started_at`, `source`,
            `confidence` and `options` (empty where nothing is compared).
        texts: columns `TEXTS`, of all interactions that the rows and their options name.
        n_answers: how many answers stand beside each other.
        pseudonyms: shuffles them.
    """
    said = {row["id"]: row for row in texts.iter_rows(named=True)}
    made = (_card(asked, row, said, n_answers, pseudonyms) for row in rows.iter_rows(named=True))
    return [card for card in made if card is not None]


def _card(
    asked: QuestionSet,
    row: Mapping[str, object],
    said: Mapping[str, Mapping[str, object]],
    n_answers: int,
    pseudonyms: Pseudonyms,
) -> Card | None:
    own = str(row["interaction_id"])
    text = said[own]
    compared: list[tuple[str, str]] = []
    if compares(asked):
        compared = _compared(own, row["options"], said)[:n_answers]
        if len(compared) < n_answers:
            return None
        compared.sort(key=lambda option: pseudonyms.id("order", asked.name, own, option[0]))
    fields: dict[str, object] = {"conversation": conversation.chat(_messages(text["input"]), own)}
    if judges(asked):
        shown = _shown(conversation.answer(_messages(text["output"])), own)
        fields["answer"] = wide_as_entities(shown) if "spans" in asked.asks else shown
    for name, (_, answer) in zip(answer_names(n_answers), compared, strict=False):
        fields[name] = _shown(answer, own)
    if offered := conversation.tools(_text(text["tools"]), own):
        fields["tools"] = offered
    return Card(
        interaction_id=own,
        candidate_id=_text(row["candidate_id"]),
        gold=bool(row["gold"]),
        options=tuple(option for option, _ in compared),
        fields=fields,
        metadata=_metadata(row),
        suggestions=tuple(_suggestions(asked, row, text)),
    )


def _compared(own: str, options: object, said: Mapping[str, Mapping[str, object]]) -> list[tuple[str, str]]:
    """Each option with its text, where the texts differ as they may leave."""
    assert isinstance(options, list)
    found: dict[str, str] = {}
    for option in options:
        text = said[own]["improvement"] if option == IMPROVEMENT else said[str(option)]["output"]
        words = conversation.answer(_messages(text)).strip()
        if words and words not in found.values():
            found[str(option)] = words
    return list(found.items())


def _messages(value: object) -> list[conversation.Message]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _shown(text: str, whole: str) -> str:
    return beginning(text, TEXT, whole) or conversation.NO_TEXT


def _metadata(row: Mapping[str, object]) -> dict[str, object]:
    at = row["started_at"]
    found = {
        "slice": row["slices"],
        "reasons": row["reasons"],
        "model": row["model"],
        "source": row["source"],
        "date": f"{at:%Y-%m-%d}" if at else None,
        "week": f"{at:%G-W%V}" if at else None,
    }
    return {name: _terms(value) for name, value in found.items() if value}


def _terms(value: object) -> object:
    """What production called a thing may hold anything; pages show it as it is."""
    return [_terms(each) for each in value] if isinstance(value, list) else visible(str(value))[:TERM]


def _suggestions(asked: QuestionSet, row: Mapping[str, object], text: Mapping[str, object]) -> list[Suggestion]:
    agent, score = _agent(_text(row["model"])), _score(row["confidence"])
    answer = conversation.spoken(_messages(text["output"]))
    found = []
    if "correct" in asked.asks:
        better = conversation.spoken(_messages(text["improvement"]))
        suggested = without_hidden(better or answer)
        if suggested.strip() and len(suggested) <= TEXT:
            about = (PRODUCTION, None) if better else (agent, score)
            found.append(Suggestion(QUESTIONS["correct"], suggested, *about))
    if "choose" in asked.asks and (named := named_in(answer, asked.options)):
        if asked.several:
            found.append(Suggestion(QUESTIONS["choose"], named, agent))
        elif len(named) == 1:
            found.append(Suggestion(QUESTIONS["choose"], named[0], agent, score))
    return found


def named_in(answer: str, options: Sequence[str]) -> list[str]:
    """The options that an answer names, as whole words in any case; of 'card' and 'card arrival' the longer."""
    text = f" {_words(answer)} "
    named = sorted((option for option in options if f" {_words(option)} " in text), key=lambda one: -len(_words(one)))
    kept: list[str] = []
    for option in named:
        left = text.replace(f" {_words(option)} ", " \0 ")
        if left != text:
            kept.append(option)
            text = left
    return [option for option in options if option in kept]


def _words(text: str) -> str:
    return " ".join(re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", text).casefold()))


def _agent(model: str | None) -> str | None:
    """The model's name as Argilla takes an agent's: few signs, at most 200."""
    name = re.sub(r"[^a-zA-Z0-9_:./ -]", "-", model or "")[:200]
    return name if re.search("[a-zA-Z0-9]", name) else None


def _score(confidence: object) -> float | None:
    if not isinstance(confidence, float) or not math.isfinite(confidence):
        return None
    return min(1.0, max(0.0, confidence))
