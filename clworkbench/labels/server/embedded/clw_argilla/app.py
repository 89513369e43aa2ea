"""Argilla's app with its services replaced; importing this module builds it.

The order counts: importing anything of argilla_server runs its `__init__`, which builds the whole app, so the stand-in
for the job queues must be there first. The search engine may be registered after: it is looked up at start-up.
"""

import os
from pathlib import Path

from . import jobs

jobs.stand_in(Path(os.environ["ARGILLA_HOME_PATH"]) / "jobs.db")

import argilla_server  # noqa: E402
from argilla_server._app import app as argilla  # noqa: E402

from . import database, engine, speed  # noqa: E402, F401  (engine registers itself as 'sqlite')
from .guard import guarded  # noqa: E402

database.connect_anew()
speed.repair()
_pages = Path(argilla_server.__file__).with_name("static").rglob("*.html")
app = guarded(argilla, [page.read_text().replace("@@baseUrl@@", "") for page in _pages])
