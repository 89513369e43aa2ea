"""Where a workspace's annotation server lives: its database, its secrets and its log, for one user's eyes only."""

import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from clworkbench.errors import LabelError
from clworkbench.files import told_when_full

USERNAME = "owner"
"""The name of the one user that the server is born with."""

SECRETS = {"auth_secret": 48, "password": 18, "api_key": 32}
"""Each secret's file, and how many random bytes it is made of."""


@dataclass(frozen=True)
class Home:
    """The folder of one annotation server, `<workspace>/argilla/`, mode 0700.

    argilla.db         Argilla's own database: the truth
    search.db          what full-text search needs; made anew where it is missing
    jobs.db            background jobs that are not done yet
    auth_secret, password, api_key   one secret each, mode 0600
    annotators/        each annotator's first password, mode 0600
    server.log         what the server says, without texts, tokens or addresses' queries
    server.json        the process that serves, while it does
    port               where it listened last
    erasing.json       the port to serve at again, while something is being erased
    """

    folder: Path

    @classmethod
    def of(cls, workspace_folder: str | Path) -> "Home":
        """The home that belongs to a workspace's folder."""
        return cls(Path(workspace_folder).resolve() / "argilla")

    @property
    def database(self) -> Path:
        """Argilla's database."""
        return self.folder / "argilla.db"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.folder / "server.log"

    @property
    def start_log(self) -> Path:
        """What the last start wrote before its log stood, as a traceback of Python's own."""
        return self.folder / "start.log"

    @property
    def state(self) -> Path:
        """Which process serves, and where."""
        return self.folder / "server.json"

    @property
    def starting(self) -> Path:
        """Held by who starts the server, or keeps others from it."""
        return self.folder / "start.lock"

    @property
    def erasing(self) -> Path:
        """That something is being erased, and where the server is to listen afterwards."""
        return self.folder / "erasing.json"

    @property
    def password_file(self) -> Path:
        """The file that holds the owner's password."""
        return self.folder / "password"

    @property
    def port_file(self) -> Path:
        """The port that the server had last: bookmarks hold over a restart."""
        return self.folder / "port"

    @property
    def passwords(self) -> Path:
        """The folder of annotators' first passwords, a file each, mode 0600."""
        return self.folder / "annotators"

    @property
    def api_key(self) -> str:
        """The owner's API key.

        Raises:
            LabelError: there is none yet, or others may read it.
        """
        return read_secret(self.folder / "api_key")

    @property
    def password(self) -> str:
        """The owner's password; raises as `api_key` does."""
        return read_secret(self.password_file)

    @property
    def size(self) -> int:
        """Bytes on the disk, all files together; those that go while it looks do not count."""
        total = 0
        for folder, _, names in os.walk(self.folder):
            for name in names:
                with suppress(FileNotFoundError):
                    total += (Path(folder) / name).lstat().st_size
        return total

    def make_folder(self) -> None:
        """Makes the folder, for its user's eyes only.

        Raises:
            LabelError: it is somebody else's.
        """
        with told_when_full("the annotation server's home", self.folder.parent):
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            self.folder.chmod(0o700)
        except PermissionError as error:
            raise LabelError(
                f"{self.folder}: belongs to another user, who could read what annotators write.\n"
                "Run the command as that user, or use a workspace of your own."
            ) from error

    def make_secrets(self) -> None:
        """Makes the secrets that are missing; others stay as they are. One process at a time may do it.

        Raises:
            LabelError: a secret is open to others, or empty.
        """
        with told_when_full("the annotation server's secrets", self.folder):
            for name, n_bytes in SECRETS.items():
                if not (self.folder / name).exists():
                    write_secret(self.folder / name, secrets.token_urlsafe(n_bytes))
                read_secret(self.folder / name)


def write_secret(path: Path, secret: str) -> None:
    """Writes a secret whole, mode 0600."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secret + "\n")
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read_secret(path: Path) -> str:
    """A secret from its file.

    Raises:
        LabelError: there is no such file, it is empty, or others may read it.
    """
    if not path.is_file():
        raise LabelError(f"{path}: not there. `clw label serve` makes it.")
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise LabelError(
            f"{path}: others may read it.\nRun `chmod 600 {path}`, or delete it: `clw label serve` makes it anew."
        )
    if not (secret := path.read_text().strip()):
        raise LabelError(f"{path}: empty. Delete it: `clw label serve` makes it anew.")
    return secret
