"""Records of a data set in Argilla, many at a time: written, looked up by their own ids, deleted."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from clworkbench.display.progress import Advance, silent
from clworkbench.errors import LabelError
from clworkbench.labels.cards import Card
from clworkbench.labels.rest import Refused, Rest

AT_ONCE = 200
"""Records in one request; Argilla takes at most 500."""

BYTES_AT_ONCE = 4_000_000

LOOKED_UP = 200
"""Ids in one search; Argilla takes at most 250."""

DELETED = 100
"""Records that Argilla deletes in one request."""


@dataclass(frozen=True)
class Dataset:
    """A data set that stands in Argilla.

    Attributes:
        id: Argilla's own.
        name: the question set's name.
        team: the workspace it is in.
        questions: by name, Argilla's id of the question.
        n_answers: how many answers are compared in a record; 0 where none are.
        guidelines: what annotators are told; None where nothing.
        overlap: how many annotators answer each record.
        is_published: whether it can be answered; a killed push leaves one that cannot.
    """

    id: str
    name: str
    team: str
    questions: Mapping[str, str]
    n_answers: int
    guidelines: str | None
    overlap: int
    is_published: bool


class Answered(msgspec.Struct):
    """One annotator's answers to a record, as far as they decide whether it may be taken back."""

    status: str


class RecordThere(msgspec.Struct):
    """A record that stands in Argilla."""

    id: str
    external_id: str | None
    responses: list[Answered] = []
    fields: dict[str, object] = {}


class _Found(msgspec.Struct):
    record: RecordThere


class _Page(msgspec.Struct):
    items: list[_Found]


class Records(Rest):
    """A connection that writes and reads records."""

    def push(self, dataset: Dataset, cards: Sequence[Card], advance: Advance = silent) -> None:
        """Writes records, each found by its `external_id`: one that is there is written again, its answers stay.

        Raises:
            LabelError: a record is refused, or larger than that server takes; those before it stand.
        """
        done = 0
        for records in _in_portions([_record(dataset, card) for card in cards]):
            self._write(dataset, records)
            done += len(records)
            advance(done, len(cards), "records")

    def _write(self, dataset: Dataset, records: Sequence[bytes]) -> None:
        body = msgspec.Raw(b'{"items":[' + b",".join(records) + b"]}")
        try:
            self.call("PUT", f"datasets/{dataset.id}/records/bulk", type(None), json=body)
        except Refused as error:
            if error.status != 413:
                raise
            if len(records) == 1:
                own = msgspec.json.decode(records[0], type=_External).external_id
                raise LabelError(
                    f"{self.url}: the record of {own} ({len(records[0]):,} bytes) is more than that server takes.\n"
                    "Keep it out with `where` in clw.toml, or raise the limit of the proxy before that server."
                ) from None
            half = len(records) // 2
            self._write(dataset, records[:half])
            self._write(dataset, records[half:])

    def records(self, dataset: Dataset, external_ids: Collection[str]) -> Iterator[RecordThere]:
        """The records that stand there of those with these ids, each with its responses' status."""
        ids = sorted(external_ids)
        for start in range(0, len(ids), LOOKED_UP):
            some = ids[start : start + LOOKED_UP]
            scope = {"entity": "record", "property": "external_id"}
            query = {"filters": {"and": [{"type": "terms", "scope": scope, "values": some}]}}
            page = self.call(
                "POST",
                f"datasets/{dataset.id}/records/search",
                _Page,
                json=query,
                params={"include": "responses", "limit": len(some)},
            )
            yield from (found.record for found in page.items)

    def remove(self, dataset: Dataset, record_ids: Sequence[str], advance: Advance = silent) -> None:
        """Deletes records, named by Argilla's own ids, and all answers to them."""
        for start in range(0, len(record_ids), DELETED):
            some = record_ids[start : start + DELETED]
            self.call("DELETE", f"datasets/{dataset.id}/records", type(None), params={"ids": ",".join(some)})
            advance(start + len(some), len(record_ids), "records")


class _External(msgspec.Struct):
    external_id: str


def _record(dataset: Dataset, card: Card) -> bytes:
    """A card as Argilla takes it."""
    suggestions = [
        {"question_id": dataset.questions[each.question], "value": each.value, "agent": each.agent, "score": each.score}
        for each in card.suggestions
    ]
    body = {"external_id": card.interaction_id, "fields": card.fields, "metadata": card.metadata}
    return msgspec.json.encode({**body, "suggestions": suggestions})


def _in_portions(records: Sequence[bytes]) -> Iterator[list[bytes]]:
    portion: list[bytes] = []
    size = 0
    for record in records:
        if portion and (len(portion) == AT_ONCE or size + len(record) > BYTES_AT_ONCE):
            yield portion
            portion, size = [], 0
        portion.append(record)
        size += len(record)
    if portion:
        yield portion
