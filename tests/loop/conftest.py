"""A workspace of the test's own, its key beside it."""

import pytest

from clworkbench.workspace import Workspace


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Workspace:
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    return Workspace.create(tmp_path / "w")
