"""A played workspace for the module's own use, and `clw` as a process."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable

import pytest

from clworkbench.workspace import Workspace

Ran = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def played(tiny_workspace, tmp_path_factory) -> Workspace:
    folder = tmp_path_factory.mktemp("played") / "workspace"
    shutil.copytree(tiny_workspace, folder)
    return Workspace(folder)


@pytest.fixture(scope="module")
def clw(played) -> Callable[..., Ran]:
    def run(*words: object) -> Ran:
        command = [sys.executable, "-c", "from clworkbench.cli import main; main()", *map(str, words)]
        named = ["--workspace", str(played.folder)]
        return subprocess.run([*command, *named], capture_output=True, text=True, env=os.environ, check=False)

    return run
