"""Repairs of argilla-server 2.8.0 that make logging records fast; what it stores and answers stays the same."""

import functools
from typing import Any


def repair() -> None:
    """Puts the repairs in place; call it before the first request."""
    keep_type_adapters()
    build_events_for_listeners()


def keep_type_adapters() -> None:
    """Questions and metadata properties build a pydantic TypeAdapter for each record and question; one is enough."""
    from argilla_server.models import database
    from pydantic import TypeAdapter

    database.TypeAdapter = functools.cache(TypeAdapter)


def build_events_for_listeners() -> None:
    """An event (six queries, a dump of all schemas) is built for each record; ask once a request who listens."""
    from argilla_server.bulk import records_bulk
    from argilla_server.contexts import webhooks

    notify = records_bulk.notify_record_event_v1

    async def notify_listeners(db: Any, event: object, record: object) -> list[object]:
        if "heard" not in db.info:
            hooks = await webhooks.list_enabled_webhooks(db)
            db.info["heard"] = {str(heard) for hook in hooks for heard in hook.events}
        return list(await notify(db, event, record)) if str(event) in db.info["heard"] else []

    records_bulk.notify_record_event_v1 = notify_listeners
