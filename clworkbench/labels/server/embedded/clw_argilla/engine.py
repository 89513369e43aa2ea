"""Argilla's search engine named `sqlite`: no service, an index that lies in one file and can be lost at any time.

Truth stays in Argilla's own SQLite database; responses and suggestions are read there, and the side file (side.py)
holds the words, vectors and small columns of the records. Where it answers otherwise than Argilla's Elasticsearch
engine does, docs/argilla-search.md says so, and why.
"""

import asyncio
import functools
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, Self, TypeVar
from uuid import UUID

from argilla_server.enums import SimilarityOrder
from argilla_server.errors.future import UnprocessableEntityError
from argilla_server.models import (
    Dataset,
    MetadataProperty,
    Record,
    Response,
    Suggestion,
    User,
    VectorSettings,
)
from argilla_server.search_engine.base import (
    Filter,
    MetadataMetrics,
    Order,
    SearchEngine,
    SearchResponses,
    TextQuery,
)
from fastapi import HTTPException

from . import counts, search, side, sync

LOG = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")

READERS = ThreadPoolExecutor(8, "search")
WRITER = ThreadPoolExecutor(1, "index")
UNAVAILABLE = (
    "The search index cannot be read or written just now; answers are saved all the same. See the server's log."
)


async def reading(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Does `work` on a search thread.

    Raises:
        HTTPException: 503 where the side file can be neither read nor built; the log says why.
    """
    job = functools.partial(side.surviving, work, *args, **kwargs)
    try:
        return await asyncio.get_running_loop().run_in_executor(READERS, job)
    except (sqlite3.Error, OSError) as error:
        LOG.error("a search failed: the index cannot be used (%s)", sync.said(error))
        raise HTTPException(503, UNAVAILABLE) from None


async def writing(dataset_id: UUID, work: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    """Does `work` on the index's thread. What Argilla has saved stays saved if that fails: it is caught up later."""
    job = functools.partial(side.surviving, work, *args, **kwargs)
    try:
        await asyncio.get_running_loop().run_in_executor(WRITER, job)
    except (sqlite3.Error, OSError) as error:
        sync.mark_behind(dataset_id.hex)
        LOG.error("dataset %s: not indexed (%s); the next search catches up", dataset_id, sync.said(error))


@functools.cache
def watch() -> None:
    """Starts, once, the thread that compares the index with the truth."""
    threading.Thread(target=sync.watch, name="search-watch", daemon=True).start()


@SearchEngine.register("sqlite")
class SQLiteSearchEngine(SearchEngine):
    """One is made for each request, so it holds nothing."""

    @classmethod
    async def new_instance(cls) -> Self:
        """An engine for one request."""
        return cls()

    async def close(self) -> None:
        """Nothing to close."""

    async def ping(self) -> bool:
        """Asked once, when the server starts: the index is brought up to date meanwhile."""
        watch()
        return True

    async def info(self) -> dict[str, object]:
        """What Argilla's status page shows."""
        return {"name": "clworkbench", "cluster_name": "embedded", "version": {"number": sqlite3.sqlite_version}}

    async def create_index(self, dataset: Dataset) -> None:
        """Makes a published dataset's tables."""
        await writing(dataset.id, sync.check, dataset.id.hex)

    async def delete_index(self, dataset: Dataset) -> None:
        """Drops a dataset's tables, if there are any."""
        await writing(dataset.id, sync.forget, dataset.id.hex)

    async def configure_metadata_property(self, dataset: Dataset, metadata_property: MetadataProperty) -> None:
        """Nothing to do: all metadata values are indexed."""

    async def configure_index_vectors(self, vector_settings: VectorSettings) -> None:
        """Nothing to do: a table is made with the first vector."""

    async def index_records(self, dataset: Dataset, records: Iterable[Record]) -> None:
        """Indexes records as the truth has them now."""
        await writing(dataset.id, sync.refresh, dataset.id.hex, [record.id.hex for record in records])

    async def delete_records(self, dataset: Dataset, records: Iterable[Record]) -> None:
        """Takes records out that the truth no longer has."""
        await self.index_records(dataset, records)

    async def partial_record_update(self, record: Record, **update: object) -> None:  # noqa: ARG002
        """Reads the record's status again."""
        await writing(record.dataset_id, sync.refresh, record.dataset_id.hex, [record.id.hex])

    async def update_record_response(self, response: Response) -> None:
        """Nothing to do: responses are read from the truth."""

    async def delete_record_response(self, response: Response) -> None:
        """Nothing to do: responses are read from the truth."""

    async def update_record_suggestion(self, suggestion: Suggestion) -> None:
        """Nothing to do: suggestions are read from the truth."""

    async def delete_record_suggestion(self, suggestion: Suggestion) -> None:
        """Nothing to do: suggestions are read from the truth."""

    async def get_dataset_progress(self, dataset: Dataset) -> dict[str, int]:
        """Records in all (`total`) and by status; nothing for a draft."""
        return {} if dataset.is_draft else await reading(counts.progress, dataset.id.hex)

    async def get_dataset_user_progress(self, dataset: Dataset, user: User) -> dict[str, int]:
        """A person's responses in all (`total`) and by status; nothing for a draft."""
        return {} if dataset.is_draft else await reading(counts.progress_of, dataset.id.hex, user.id.hex)

    async def compute_metrics_for(self, metadata_property: MetadataProperty) -> MetadataMetrics:
        """Counts of a property's terms, or the least and greatest of its numbers."""
        kind = str(metadata_property.type.value)
        return await reading(counts.metrics, metadata_property.dataset_id.hex, metadata_property.name, kind)

    async def search(
        self,
        dataset: Dataset,
        query: TextQuery | str | None = None,
        filter: Filter | None = None,
        sort: list[Order] | None = None,
        offset: int = 0,
        limit: int = 100,
        user_id: UUID | str | None = None,
    ) -> SearchResponses:
        """A page of ids and scores, and how many there are in all."""
        return await reading(search.search, dataset.id.hex, query, filter, sort, offset, limit, user_id)

    async def similarity_search(
        self,
        dataset: Dataset,
        vector_settings: VectorSettings,
        value: list[float] | None = None,
        record: Record | None = None,
        query: TextQuery | str | None = None,
        filter: Filter | None = None,
        max_results: int = 100,
        order: SimilarityOrder = SimilarityOrder.most_similar,
        threshold: float | None = None,
    ) -> SearchResponses:
        """The records nearest to a vector or to a record's (itself left out), with scores from 0 to 1.

        Raises:
            ValueError: neither or both of value and record, or a record without such a vector.
            UnprocessableEntityError: a value of other dimensions.
        """
        if bool(value) == bool(record):
            raise ValueError("Must provide either vector value or record to compute the similarity search")
        vector: Sequence[float] | None = value or (record and record.vector_value_by_vector_settings(vector_settings))
        if not vector:
            raise ValueError("Cannot find a vector value to apply with provided info")
        if len(vector) != vector_settings.dimensions:
            found, asked = len(vector), vector_settings.dimensions
            raise UnprocessableEntityError(f"The vector has {found} numbers; `{vector_settings.name}` has {asked}.")
        if order == SimilarityOrder.least_similar:
            vector = [-number for number in vector]
        but = record.id.hex if record else None
        space = vector_settings.id.hex
        return await reading(search.similar, dataset.id.hex, space, vector, but, query, filter, max_results, threshold)
