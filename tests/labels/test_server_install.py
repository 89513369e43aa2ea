"""The annotation server's venv: built from hashes, once, whole or not at all; failures are told with the way out."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from clworkbench.errors import LabelError
from clworkbench.labels.server import install


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("CLW_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def python_that(tmp_path: Path, *, does: str) -> str:
    """An interpreter that says it is 3.11 and does `does` where it is asked to make a venv."""
    script = tmp_path / "python"
    script.write_text(f'#!/bin/sh\ncase "$*" in *version_info*) echo 3.11;; *) {does};; esac\n')
    script.chmod(0o755)
    return str(script)


def test_each_package_of_the_lock_has_a_version_and_a_hash_and_no_index_is_named():
    entries = re.split(r"\n(?=\S)", install.LOCK.read_text().strip())
    assert len(entries) > 80
    assert all(re.match(r"[a-z0-9.\[\]-]+==[\w.]+( ; .*)? \\\n    --hash=sha256:[0-9a-f]{64}", e) for e in entries)
    assert "argilla-server==2.8.0" in install.LOCK.read_text()
    assert "://" not in install.LOCK.read_text()


def test_the_venv_is_named_by_python_and_lock_so_that_another_lock_is_another_venv(tmp_path, monkeypatch):
    first = install.venv_name("3.11")
    other = tmp_path / "other.lock"
    other.write_text(install.LOCK.read_text() + "# another\n")
    monkeypatch.setattr(install, "LOCK", other)
    assert first.startswith("argilla-server-py3.11-")
    assert install.venv_name("3.11") != first
    assert install.venv_name("3.12") != install.venv_name("3.11")


def test_venvs_of_older_locks_are_found_and_those_of_another_python_are_not(tmp_path):
    for name in ("argilla-server-py3.11-aaa", "argilla-server-py3.11-bbb", "argilla-server-py3.12-ccc"):
        (tmp_path / name).mkdir()
    (tmp_path / "argilla-server-py3.11-aaa.log").touch()
    found = install.outdated(tmp_path / "argilla-server-py3.11-bbb")
    assert [path.name for path in found] == ["argilla-server-py3.11-aaa"]


@pytest.mark.parametrize("version", ["3.10", "3.14"])
def test_a_python_that_the_lock_has_no_wheels_for_is_told_with_both_ways_out(tmp_path, monkeypatch, version):
    script = tmp_path / "python"
    script.write_text(f"#!/bin/sh\necho {version}\n")
    script.chmod(0o755)
    monkeypatch.setenv("CLW_ARGILLA_PYTHON", str(script))
    with pytest.raises(LabelError, match=f"Python {version}; Argilla's server runs on 3.11 to 3.13") as told:
        install.base_python()
    assert "CLW_ARGILLA_PYTHON" in str(told.value)
    assert "ARGILLA_API_URL" in str(told.value)


def test_an_interpreter_that_is_not_there_is_told_by_the_name_it_was_given(monkeypatch):
    monkeypatch.setenv("CLW_ARGILLA_PYTHON", "/nowhere/python3.12")
    with pytest.raises(LabelError, match=r"CLW_ARGILLA_PYTHON=/nowhere/python3\.12: cannot be run"):
        install.base_python()


def test_a_python_without_venv_is_told_with_what_to_install(cache, tmp_path, monkeypatch):
    words = "The virtual environment was not created successfully because ensurepip is not available"
    monkeypatch.setenv("CLW_ARGILLA_PYTHON", python_that(tmp_path, does=f'echo "{words}"; exit 1'))
    with pytest.raises(LabelError, match=r"making the venv failed: this Python has no venv module.*python3-venv"):
        install.installed(print)


def test_an_index_that_cannot_be_reached_is_told_with_the_log_and_leaves_nothing_whole(cache, monkeypatch):
    """A real venv and a real pip, whose index is a port where nobody listens."""
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    said: list[str] = []
    with pytest.raises(LabelError, match="the package index cannot be reached") as told:
        install.installed(said.append)
    log = Path(re.search(r"Log: (\S+\.log)\.", str(told.value))[1])
    assert "pip install" in log.read_text()
    assert len(said) == 1
    assert not any((folder / install.WHOLE).exists() for folder in cache.iterdir())


def test_a_venv_that_a_kill_left_half_built_is_never_used(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("CLW_ARGILLA_PYTHON", python_that(tmp_path, does="exit 9"))
    half = cache / install.venv_name("3.11")
    (half / "bin").mkdir(parents=True)
    (half / "bin" / "python").symlink_to(sys.executable)
    (half / "left.txt").touch()
    with pytest.raises(LabelError, match="making the venv failed"):
        install.installed(print)
    assert not half.exists()


def test_a_wheel_with_another_hash_is_not_installed(cache, tmp_path, monkeypatch):
    """A real pip, offered a file that has the right name and other bytes."""
    offered = tmp_path / "wheels"
    offered.mkdir()
    (offered / "aiofiles-24.1.0-py3-none-any.whl").write_bytes(b"other bytes")
    lock = tmp_path / "one.lock"
    lock.write_text(re.split(r"\n(?=\S)", install.LOCK.read_text())[0] + "\n")
    assert lock.read_text().startswith("aiofiles==24.1.0")
    monkeypatch.setattr(install, "LOCK", lock)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(offered))
    with pytest.raises(LabelError, match="a package is not the one that the lock names"):
        install.installed(print)


def test_the_pip_that_builds_it_is_the_venvs_own(cache, tmp_path, monkeypatch):
    """An empty lock stands for the whole: the venv is built, kept, and not built again."""
    lock = tmp_path / "empty.lock"
    lock.write_text("# nothing\n")
    monkeypatch.setattr(install, "LOCK", lock)
    said: list[str] = []
    python = install.installed(said.append)
    prefix = subprocess.run([python, "-c", "import sys; print(sys.prefix)"], capture_output=True, text=True, check=True)
    assert Path(prefix.stdout.strip()).parent == cache
    assert install.installed(said.append) == python
    assert len(said) == 1
