"""Labels from what annotators answered in Argilla: records as its API gives them, read value by value."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from html import unescape
from typing import NamedTuple

import polars as pl

from clworkbench.labels.improvements import BadRow, check_unicode, improvement
from clworkbench.labels.latest import KEY
from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.policy.redaction import redact, redact_text
from clworkbench.schemas import LABELS

Json = Mapping[str, object]

SUBMITTED, DRAFT, DISCARDED, WITHDRAWN = "submitted", "draft", "discarded", "withdrawn"
KINDS: Mapping[str, tuple[str, ...]] = {
    "answer": ("label_selection",),
    "rating": ("rating",),
    "preference": ("label_selection",),
    "ranking": ("ranking",),
    "improvement": ("text",),
    "choice": ("label_selection", "multi_label_selection"),
    "spans": ("span",),
    "comment": ("text",),
}
"""Our questions, and of which of Argilla's kinds each may be."""

UNRESOLVED = "what its options stand for is not noted yet: run `clw label push` again"
ROWS = pl.Schema({name: dtype for name, dtype in LABELS.items() if name != "batch_id"})
HEARD = pl.Schema({name: LABELS[name] for name in KEY})


class Question(NamedTuple):
    """A question of a data set: Argilla's id and kind of it, and whether it must be answered."""

    id: str
    kind: str
    required: bool


class Answers(NamedTuple):
    """What records say.

    Attributes:
        labels: one row for each question that an annotator answered, `schemas.LABELS` without `batch_id`.
        heard: `interaction_id`, `question`, `annotator_key` of all that was answered, also where it was left out.
        left_out: values that say nothing usable, by reason.
    """

    labels: pl.DataFrame
    heard: pl.DataFrame
    left_out: Counter[str]


class Reader(NamedTuple):
    """What is needed to read the records of one data set.

    Attributes:
        source: what the labels' `source` says, e.g. `argilla/review`.
        questions: the data set's, by name.
        annotators: `annotator_key` by Argilla's id of a user; who is not there gets one made of the id.
        pseudonyms: makes the ids.
        redacted: takes personal data out of improvements and comments.
        at: when all this was said, in a simulation; else Argilla's own time of each answer.
    """

    source: str
    questions: Mapping[str, Question]
    annotators: Mapping[str, str]
    pseudonyms: Pseudonyms
    redacted: bool = True
    at: datetime | None = None

    def key_of(self, user_id: str) -> str:
        """The annotator's key."""
        return self.annotators.get(user_id) or self.pseudonyms.user(user_id)


def answers(records: Iterable[Json], asked: pl.DataFrame, reader: Reader) -> Answers:
    """Read records, as `GET /api/v1/datasets/…/records?include=responses,suggestions` gives them.

    An answer's `label_id` is made of the record's interaction, the question, the annotator, what is said and when, so
    that the same answer again is the same label, and a changed one, or one given back and given again, a new label.
    `equals_suggestion` compares what was answered with what was filled in, but for the form of line ends.

    Args:
        records: with `external_id` (an interaction's), `responses` and `suggestions`.
        asked: the latest rows of `schemas.ASKED` about them; a record without one is read all the same.
        reader: how to read them.
    """
    about = {str(row["interaction_id"]): row for row in asked.iter_rows(named=True)}
    rows: list[dict[str, object]] = []
    heard: list[tuple[str, str, str]] = []
    left_out: Counter[str] = Counter()
    for record in records:
        interaction_id = record.get("external_id")
        for response in _dicts(record.get("responses")):
            if not isinstance(interaction_id, str):
                left_out["a record without an interaction's id"] += 1
                continue
            key, ask = reader.key_of(str(response.get("user_id"))), about.get(interaction_id, {})
            for name, value in _said(response, reader.questions, left_out):
                heard.append((interaction_id, name, key))
                try:
                    rows.append(_label(record, response, name, value, ask, reader))
                except BadRow as reason:
                    left_out[f"{name}: {reason}"] += 1
    frame = pl.DataFrame(rows, schema=ROWS)
    kept = _redacted(frame, reader.pseudonyms) if reader.redacted else frame
    return Answers(kept, pl.DataFrame(heard, schema=HEARD, orient="row"), left_out)


def _said(response: Json, questions: Mapping[str, Question], left_out: Counter[str]) -> Iterator[tuple[str, object]]:
    """Each question that a response answers, and what it says; what was left empty is passed over.

    One that was discarded answers each required question so, also where it says nothing more.
    """
    found = response.get("values")
    values = found if isinstance(found, dict) else {}
    ours = {name: each for name, each in questions.items() if each.kind in KINDS.get(name, ())}
    for name, held in values.items():
        value = held.get("value") if isinstance(held, dict) else held
        if name not in ours:
            left_out[f"a question that is not ours: {name[:40]!r}"] += 1
        elif value is not None and not (isinstance(value, str) and not value.strip()):
            yield name, value
    if response.get("status") == DISCARDED:
        yield from ((name, None) for name, each in ours.items() if each.required and name not in values)


def _label(record: Json, response: Json, name: str, value: object, ask: Json, reader: Reader) -> dict[str, object]:
    status = response.get("status")
    if status not in (SUBMITTED, DRAFT, DISCARDED):
        raise BadRow(f"status {str(status)[:40]!r} is none of submitted, draft, discarded")
    key, said_at = reader.key_of(str(response.get("user_id"))), moment(response.get("updated_at"))
    card = _Card.of(record, ask)
    said = None if value is None else _text(name, value, card)
    parts = (str(record["external_id"]), name, key, said_at.isoformat(), json.dumps([status, said]))
    return {
        "label_id": reader.pseudonyms.id("label", reader.source, *parts),
        "interaction_id": record["external_id"],
        "question": name,
        "value": None if name == "improvement" else said,
        "improvement": improvement(said) if name == "improvement" else None,
        "annotator_key": key,
        "status": status,
        "at": reader.at or said_at,
        "source": reader.source,
        "candidate_id": ask.get("candidate_id"),
        "equals_suggestion": _equals_suggestion(record, reader.questions[name].id, name, said, card),
    }


def _equals_suggestion(record: Json, question_id: str, name: str, said: str | None, card: "_Card") -> bool | None:
    """Whether the answer is what was filled in; None where nothing was, or nothing was said."""
    for suggestion in _dicts(record.get("suggestions")):
        if suggestion.get("question_id") == question_id and said is not None:
            try:
                return _one_line_end(said) == _one_line_end(_text(name, suggestion.get("value"), card))
            except BadRow:
                return False
    return None


def _one_line_end(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


class _Card(NamedTuple):
    """What the annotator saw, as far as answers point to it: the answer shown, and what `answer_1` … stand for."""

    shown: str
    options: list[str]

    @classmethod
    def of(cls, record: Json, ask: Json) -> "_Card":
        fields, options = record.get("fields"), ask.get("options")
        shown = fields.get("answer") if isinstance(fields, dict) else None
        return cls(unescape(str(shown or "")), [str(each) for each in options] if isinstance(options, list) else [])


def _text(name: str, value: object, card: _Card) -> str:
    """An answer as a label's `value` holds it: the text that was chosen or written, or JSON for what is no text.

    Raises:
        BadRow: it is none that the question can have.
    """
    if name == "rating":
        if not isinstance(value, int) or isinstance(value, bool):
            raise BadRow("its value is no whole number")
        return str(value)
    if name == "spans":
        return _spans(value, card.shown)
    if name == "ranking":
        return _ranking(value, card.options)
    if isinstance(value, list) and name == "choice":
        return json.dumps(sorted(_plain(each) for each in value), ensure_ascii=False)
    text = _plain(value)
    return text if name != "preference" or text == "none" else _option(text, card.options)


def _plain(value: object) -> str:
    if not isinstance(value, str):
        raise BadRow("its value is no text")
    check_unicode(value, "it")
    return value


def _spans(value: object, shown: str) -> str:
    """Spans as JSON, in the order of the text: `[{"start": 0, "end": 3, "label": "wrong"}]`.

    Offsets are characters of the text that was shown; Argilla's page counts UTF-16 units.
    """
    units = shown.encode("utf-16-le", "surrogatepass")
    spans = []
    for each in value if isinstance(value, list) else [None]:
        if not isinstance(each, dict):
            raise BadRow("its value is no list of spans")
        start, end = each.get("start"), each.get("end")
        if not (isinstance(start, int) and isinstance(end, int)):
            raise BadRow("its spans have no offsets")
        first, last = (len(units[: 2 * max(0, at)].decode("utf-16-le", "ignore")) for at in (start, end))
        spans.append((first, last, _plain(each.get("label"))))
    return json.dumps([{"start": s, "end": e, "label": label} for s, e, label in sorted(spans)], ensure_ascii=False)


def _ranking(value: object, stands_for: Sequence[str]) -> str:
    """Ranks as JSON, the best first, those of one rank together; what a draft has not ranked yet is not there."""
    ranked: dict[int, list[str]] = {}
    for each in value if isinstance(value, list) else [None]:
        if not isinstance(each, dict):
            raise BadRow("its value is no ranking")
        rank, option = each.get("rank"), _option(_plain(each.get("value")), stands_for)
        if isinstance(rank, int):
            ranked.setdefault(rank, []).append(option)
    return json.dumps([sorted(ranked[rank], key=stands_for.index) for rank in sorted(ranked)])


def _option(name: str, stands_for: Sequence[str]) -> str:
    """What `answer_1`, `answer_2` … stand for."""
    number = name.removeprefix("answer_")
    if not stands_for:
        raise BadRow(UNRESOLVED)
    if not number.isascii() or not number.isdigit() or not 1 <= int(number) <= len(stands_for):
        raise BadRow(f"{name[:40]!r} is none of the {len(stands_for)} that were shown")
    return stands_for[int(number) - 1]


def moment(said: object) -> datetime:
    """A time as Argilla writes it: UTC, which most versions do not say.

    Raises:
        BadRow: it is none.
    """
    try:
        at = datetime.fromisoformat(str(said))
    except ValueError:
        raise BadRow(f"{str(said)[:40]!r} is no time") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _redacted(labels: pl.DataFrame, pseudonyms: Pseudonyms) -> pl.DataFrame:
    """Without personal data in what people wrote; what they chose is the question's own, or an id."""
    written = pl.col("question") == "comment"
    clean = redact_text(labels["value"], pseudonyms)
    improved = redact(labels.select("improvement"), pseudonyms).frame["improvement"]
    return labels.with_columns(improved, value=pl.when(written).then(clean).otherwise("value")).select(list(ROWS))


def _dicts(found: object) -> list[Json]:
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def withdrawn(labels: pl.DataFrame, *, at: datetime, pseudonyms: Pseudonyms) -> pl.DataFrame:
    """The rows by which labels are withdrawn: dated `at`, but after the answer that they take back.

    Args:
        labels: rows of `schemas.LABELS`, the latest of their key.
        at: the time on the annotators' server when it was seen.
        pseudonyms: makes the ids.
    """
    ids = [pseudonyms.id("withdrawn", own) for own in labels["label_id"]]
    after = pl.col("at") + pl.duration(microseconds=1)
    return labels.with_columns(
        label_id=pl.Series(ids, dtype=pl.String),
        status=pl.lit(WITHDRAWN),
        value=pl.lit(None, pl.String),
        improvement=pl.lit(None, LABELS["improvement"]),
        equals_suggestion=pl.lit(None, pl.Boolean),
        at=pl.max_horizontal(after, pl.lit(at, LABELS["at"])),
    ).select(list(ROWS))
