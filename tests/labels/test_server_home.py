"""The annotation server's home: made for one user's eyes, with secrets of its own."""

import multiprocessing
import threading
import time
from pathlib import Path

import pytest

from clworkbench.errors import LabelError
from clworkbench.labels.server.held import held
from clworkbench.labels.server.home import SECRETS, Home
from clworkbench.workspace import Workspace


def make(home: Home) -> None:
    home.make_folder()
    home.make_secrets()


def mode(path: Path) -> str:
    return oct(path.stat().st_mode & 0o777)


def test_the_folder_and_each_secret_are_for_the_owner_alone(tmp_path):
    home = Home.of(tmp_path)
    make(home)
    assert mode(home.folder) == "0o700"
    assert {name: mode(home.folder / name) for name in SECRETS} == dict.fromkeys(SECRETS, "0o600")


def test_no_two_homes_share_a_secret_and_none_is_a_default(tmp_path):
    homes = [Home.of(tmp_path / name) for name in ("a", "b")]
    for home in homes:
        make(home)
    found = [(home.folder / name).read_text().strip() for home in homes for name in SECRETS]
    assert len(set(found)) == len(found)
    assert min(map(len, found)) >= 24
    assert not {"1234", "12345678", "argilla.apikey"} & set(found)


def test_making_it_again_keeps_the_secrets_and_makes_only_what_is_missing(tmp_path):
    home = Home.of(tmp_path)
    make(home)
    key, password = home.api_key, home.password
    home.password_file.unlink()
    make(home)
    assert home.api_key == key
    assert home.password != password


def test_a_secret_that_others_may_read_is_refused_with_the_command_that_mends_it(tmp_path):
    home = Home.of(tmp_path)
    make(home)
    home.password_file.chmod(0o644)
    with pytest.raises(LabelError, match=r"others may read it.\nRun `chmod 600 .*password`"):
        make(home)


def test_a_folder_that_was_open_to_others_is_closed(tmp_path):
    home = Home.of(tmp_path)
    home.folder.mkdir(mode=0o755)
    make(home)
    assert mode(home.folder) == "0o700"


def test_an_empty_secret_is_told_and_never_used(tmp_path):
    home = Home.of(tmp_path)
    make(home)
    home.password_file.write_text("\n")
    with pytest.raises(LabelError, match=r"empty\. Delete it"):
        _ = home.password


def test_a_key_that_is_asked_for_before_there_is_one_names_the_command_that_makes_it(tmp_path):
    with pytest.raises(LabelError, match="`clw label serve` makes it"):
        _ = Home.of(tmp_path).api_key


def test_a_kill_while_a_secret_was_written_leaves_none_that_counts(tmp_path):
    home = Home.of(tmp_path)
    home.folder.mkdir()
    (home.folder / ".password.77.partial").write_text("half")
    make(home)
    assert len(home.password) >= 24


def test_git_keeps_the_home_of_a_workspace_out(tmp_path, monkeypatch):
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    place = Workspace.create(tmp_path / "w")
    assert "argilla/" in (place.folder / ".gitignore").read_text().splitlines()


def test_its_size_is_told_while_files_come_and_go(tmp_path):
    home = Home.of(tmp_path)
    make(home)
    (home.folder / "argilla.db").write_bytes(b" " * 1000)
    done = threading.Event()

    def come_and_go() -> None:
        while not done.is_set():
            (home.folder / "argilla.db-wal").touch()
            (home.folder / "argilla.db-wal").unlink()

    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        secrets = sum((home.folder / name).stat().st_size for name in SECRETS)
        assert {home.size for _ in range(1000)} == {1000 + secrets}
    finally:
        done.set()
        thread.join()


def _hold(path: Path, s: float) -> None:
    with held(path, wait_s=0):
        path.with_suffix(".held").touch()
        time.sleep(s)


def _holding(path: Path, s: float) -> multiprocessing.Process:
    process = multiprocessing.get_context("spawn").Process(target=_hold, args=(path, s))
    process.start()
    while not path.with_suffix(".held").exists():
        time.sleep(0.01)
    return process


def test_who_waits_for_a_file_is_told_once_and_gets_it_when_the_holder_is_killed(tmp_path):
    path, told = tmp_path / "a.lock", []
    other = _holding(path, 600)
    other.kill()
    with held(path, wait_s=30, told=lambda: told.append("waits")):
        assert len(told) <= 1
    other.join()


def test_a_file_that_stays_held_is_an_error_in_words(tmp_path):
    path = tmp_path / "a.lock"
    other = _holding(path, 600)
    with pytest.raises(LabelError, match=r"a.lock: another process has held it for 0 s"), held(path, wait_s=0):
        pass
    other.kill()
    other.join()
