"""Argilla's server in a venv of its own, from a lock with hashes: its old pins never meet anybody else's packages."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import platformdirs

from clworkbench.errors import LabelError
from clworkbench.files import told_when_full, write_atomically
from clworkbench.labels.server.held import held

LOCK = Path(__file__).with_name("argilla-server.lock")
"""Made by `uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header` (and
`--no-emit-index-url`) from `argilla-server==2.8.0 click<8.2 huggingface-hub<1 datasets<5`: it breaks with newer ones.
"""

EMBEDDED = Path(__file__).with_name("embedded")
"""What runs inside the venv, beside Argilla: put on its path, never installed."""

NEWEST = (3, 13)
"""The newest Python that the lock has wheels for (pydantic-core 2.23.4 and greenlet 3.1.1 end there)."""

BUILD_WAIT_S = 1800.0
WHOLE = "whole"
"""A file in the venv, written last: without it the venv is half built."""

Say = Callable[[str], object]


def cache_folder() -> Path:
    """Where the venv is kept, for all workspaces: `CLW_CACHE`, or the user's cache folder."""
    return Path(os.environ.get("CLW_CACHE") or platformdirs.user_cache_path("clworkbench")).resolve()


def installed(say: Say) -> Path:
    """The Python of the server's venv; builds the venv where there is none for this lock and this Python.

    Two processes build it once; a build that was killed is thrown away and begun anew.

    Args:
        say: told what takes long, in words.

    Raises:
        LabelError: no fitting Python, no venv module, no network, or a package that cannot be had.
        ArtefactError: the disk is full.
    """
    base = base_python()
    folder = cache_folder() / venv_name(_version(base))
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if (folder / WHOLE).is_file() and python.exists():
        return python
    with told_when_full("the annotation server's venv", folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        told = f"waiting for another process that builds {folder}"
        with held(_beside(folder, ".lock"), wait_s=BUILD_WAIT_S, told=lambda: say(told)):
            if not ((folder / WHOLE).is_file() and python.exists()):
                _build(base, folder, python, say)
    for old in outdated(folder):
        say(f"{old} is of an older lock; nothing here needs it any more. Delete it when no other project does.")
    return python


def venv_name(version: str) -> str:
    """The venv's folder: the Python it is for, and the hash of the lock; another lock, another folder."""
    return f"argilla-server-py{version}-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]}"


def outdated(folder: Path) -> list[Path]:
    """Venvs beside `folder` that another lock made for the same Python."""
    beginning = folder.name.rpartition("-")[0]
    return sorted(p for p in folder.parent.glob(f"{beginning}-*") if p.is_dir() and p != folder)


def base_python() -> str:
    """The interpreter that the venv is made from: `CLW_ARGILLA_PYTHON`, or the one that runs this.

    Raises:
        LabelError: it cannot be run, or the lock has no wheels for it.
    """
    python = os.environ.get("CLW_ARGILLA_PYTHON") or sys.executable
    version = tuple(int(part) for part in _version(python).split("."))
    if not (3, 11) <= version <= NEWEST:
        raise LabelError(
            f"{python} is Python {_version(python)}; Argilla's server runs on 3.11 to {'.'.join(map(str, NEWEST))}.\n"
            "Set CLW_ARGILLA_PYTHON to such an interpreter, e.g. CLW_ARGILLA_PYTHON=python3.12; or set ARGILLA_API_URL"
            " and ARGILLA_API_KEY to a server that runs elsewhere."
        )
    return python


@cache
def _version(python: str) -> str:
    """`major.minor` of an interpreter."""
    if python == sys.executable:
        return f"{sys.version_info.major}.{sys.version_info.minor}"
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        asked = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise LabelError(
            f"CLW_ARGILLA_PYTHON={python}: cannot be run ({error}). Name a Python 3.11 to 3.13 there."
        ) from error
    return asked.stdout.strip()


def _build(base: str, folder: Path, python: Path, say: Say) -> None:
    log = _beside(folder, ".log")
    say(f"the first start builds a venv for Argilla's server in {folder}; this takes a minute or two (log: {log})")
    shutil.rmtree(folder, ignore_errors=True)
    log.write_text("")
    _run([base, "-I", "-m", "venv", str(folder)], log)
    install = ["-I", "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    wheels = ["--require-hashes", "--only-binary", ":all:", "--no-deps", "-r", str(LOCK)]
    _run([str(python), *install, *wheels], log)
    write_atomically(folder / WHOLE, LOCK.name + "\n")


def _beside(folder: Path, suffix: str) -> Path:
    return folder.with_name(folder.name + suffix)


def _run(command: list[str], log: Path) -> None:
    with log.open("a") as noise:
        noise.write(f"$ {' '.join(command)}\n")
        noise.flush()
        ended = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=noise, stderr=noise, env=os.environ | {"PIP_USER": "0"}
        )
    if ended.returncode:
        raise LabelError(_why(command, log))


WORDS = {
    "No space left on device": "the disk is full. Make room, or set CLW_CACHE to a folder with room (about 700 MB).",
    "ensurepip is not": "this Python has no venv module. Install it (Debian, Ubuntu: apt install python3-venv),"
    " or set CLW_ARGILLA_PYTHON to another Python 3.11 to 3.13.",
    "No module named venv": "this Python has no venv module. Install it (Debian, Ubuntu: apt install python3-venv),"
    " or set CLW_ARGILLA_PYTHON to another Python 3.11 to 3.13.",
    "THESE PACKAGES DO NOT MATCH THE HASHES": "a package is not the one that the lock names, so it was not installed."
    " Look at what your package index serves.",
    "Retrying (": "the package index cannot be reached. Check the network, and pip's own settings.",
    "(from versions: none)": "the package index offers none of a package. Check the network, and pip's own settings.",
    "No matching distribution": "the package index has no wheel of a package for this system."
    " On such a system, run Argilla elsewhere and set ARGILLA_API_URL and ARGILLA_API_KEY.",
}
"""What pip and venv write when they fail, and the way out."""


def _why(command: list[str], log: Path) -> str:
    noise = log.read_text(errors="replace")
    found = next((words for sign, words in WORDS.items() if sign in noise), "the log says why.")
    step = "making the venv" if "venv" in command else "installing Argilla's server"
    return f"{step} failed: {found}\nLog: {log}. The same command tries it again."
