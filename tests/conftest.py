"""Fixtures that several test files share."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import settings

from clworkbench.labels.server.home import Home
from clworkbench.labels.server.install import NEWEST
from clworkbench.labels.server.process import serve, stop

# How long an example takes says more of what else runs on the machine than of our code.
settings.register_profile("clworkbench", deadline=None)
settings.load_profile("clworkbench")

os.environ.setdefault("CLW_CACHE", str(Path(__file__).parents[1] / ".venv" / "cache"))


class ArgillaServer(NamedTuple):
    """A real annotation server, fresh, on a port of its own."""

    url: str
    api_key: str
    username: str
    password: str
    home: Home


@pytest.fixture(scope="session")
def argilla_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArgillaServer]:
    """A running server that the session's tests share: each names its data sets and teams for itself."""
    if sys.version_info[:2] > NEWEST and "CLW_ARGILLA_PYTHON" not in os.environ:
        pytest.skip("Argilla's server has no wheels for this Python; CLW_ARGILLA_PYTHON names another")
    home = Home.of(tmp_path_factory.mktemp("argilla"))
    serving = serve(home, port=0)
    try:
        yield ArgillaServer(serving.url, home.api_key, serving.username, home.password, home)
    finally:
        stop(home)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data that the project reads where it is and never ships."""
    place = Path(os.environ.get("CLW_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not place.is_dir():
        pytest.skip(f"no real data at {place}")
    return place


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a 2-layer model and its tokenizer, made in a second or two."""
    from tests.tiny_model import make_tiny_model

    return make_tiny_model(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="session")
def tiny_workspace(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Iterator[Path]:
    """A workspace in which the loop went round on the tiny model, only looked at; its key is found meanwhile."""
    from tests.tiny_workspace import make_tiny_workspace

    place = tmp_path_factory.mktemp("turned")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLW_CONFIG", str(place / "config"))
        yield make_tiny_workspace(place / "w", tiny_base).folder
