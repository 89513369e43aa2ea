"""Argilla's database and its owner: brought to the newest revision whole or not at all, born without defaults."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path


def migrate(database: Path) -> bool:
    """Brings the database to the newest revision; a copy is migrated and put in its place, so a kill leaves either.

    Returns:
        Whether there was anything to do.
    """
    import alembic.command
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from argilla_server.database import ALEMBIC_CONFIG_FILE
    from argilla_server.settings import settings

    config = Config(ALEMBIC_CONFIG_FILE)
    if revision(database) == ScriptDirectory.from_config(config).get_current_head():
        return False
    partial = database.with_name(".argilla.db.partial")
    _remove(partial)
    if database.exists():
        with closing(sqlite3.connect(database)) as old, closing(sqlite3.connect(partial)) as new:
            old.backup(new)
            old.execute("pragma wal_checkpoint(truncate)")
    was = settings.database_url
    settings.database_url = was.replace(database.name, partial.name)  # both are named from the folder we run in
    try:
        alembic.command.upgrade(config, "head")
    finally:
        settings.database_url = was
    with closing(sqlite3.connect(partial)) as new:
        new.execute("pragma journal_mode=wal")
    partial.chmod(0o600)
    _remove(database)
    partial.replace(database)
    return True


def _remove(database: Path) -> None:
    for suffix in ("-wal", "-shm"):
        Path(f"{database}{suffix}").unlink(missing_ok=True)
    if database.name.startswith("."):
        database.unlink(missing_ok=True)


def revision(database: Path) -> str | None:
    """The revision that a database stands at."""
    if not database.exists():
        return None
    with closing(sqlite3.connect(database)) as connection:
        named = connection.execute("select 1 from sqlite_master where name = 'alembic_version'").fetchone()
        row = connection.execute("select version_num from alembic_version").fetchone() if named else None
    return row[0] if row else None


RECOUNT = """
update records set status = case status when 'completed' then 'pending' else 'completed' end, updated_at = ?
where id in (
    select r.id from records r
    join datasets d on d.id = r.dataset_id
    left join (select record_id, count(*) as n from responses where status = 'submitted' group by record_id) given
        on given.record_id = r.id
    where (coalesce(given.n, 0) >= json_extract(d.distribution, '$.min_submitted')) <> (r.status = 'completed')
)
"""
"""A record is completed when it has the answers that its data set asks for."""


def recount(database: Path) -> int:
    """Mends records whose status a kill left behind: Argilla commits an answer, and the record's status after it."""
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    with closing(sqlite3.connect(database)) as connection:
        mended = connection.execute(RECOUNT, (now,)).rowcount
        connection.commit()
    return mended


def ensure_owner(username: str, password: str, api_key: str) -> None:
    """Makes the owner, or sets password and key to those of the files, so that the files are always right."""
    asyncio.run(_ensure_owner(username, password, api_key))


async def _ensure_owner(username: str, password: str, api_key: str) -> None:
    from argilla_server.contexts import accounts
    from argilla_server.database import AsyncSessionLocal, async_engine
    from argilla_server.models import User, UserRole

    async with AsyncSessionLocal() as db:
        user = await accounts.get_user_by_username(db, username)
        if user is None:
            hashed = accounts.hash_password(password)
            about = {"first_name": "Owner", "last_name": None, "role": UserRole.owner}
            await User.create(db, username=username, password_hash=hashed, api_key=api_key, **about)
        elif user.api_key != api_key or not accounts.verify_password(password, user.password_hash):
            await user.update(db, password_hash=accounts.hash_password(password), api_key=api_key)
    await async_engine.dispose()


def connect_anew() -> None:
    """A connection for each session, since sessions live on several event loops; errors quote no values."""
    from argilla_server import database
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    settings = database.settings
    database.async_engine = create_async_engine(
        settings.database_url, poolclass=NullPool, hide_parameters=True, **settings.database_engine_args
    )
    database.AsyncSessionLocal.configure(bind=database.async_engine)
