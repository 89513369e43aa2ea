"""Where Argilla is: the team's, or the workspace's own server."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from clworkbench.display.text import short
from clworkbench.errors import LabelError
from clworkbench.labels.rest import LIKE, bare
from clworkbench.labels.server.home import Home
from clworkbench.labels.server.process import running

_KEY = re.compile(r"[!-~]+")


@dataclass(frozen=True)
class Address:
    """Where Argilla is, and the key it lets us in by.

    Attributes:
        url: without a user or password.
        api_key: printable ASCII, for anything else would be quoted in errors, or end the header that it stands in.
        embedded: whether it is the workspace's own server.
        login: user and password of a proxy before it, where its address has them.
    """

    url: str
    api_key: str = field(repr=False)
    embedded: bool = False
    login: tuple[str, str] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuses what is no key, without showing it."""
        if not _KEY.fullmatch(self.api_key):
            raise LabelError(
                f"the API key for {self.url} holds other characters than a key has (a space, a line break, an accent)."
                "\nCopy it into ARGILLA_API_KEY again (in Argilla: My settings, API key)."
            )


def team(environ: Mapping[str, str] = os.environ) -> Address | None:
    """The team's Argilla, where `ARGILLA_API_URL` and `ARGILLA_API_KEY` name one; None where the own server is meant.

    Raises:
        LabelError: only one of the two is set, or one of them is not what its name says.
    """
    given = {name: environ.get(name, "").strip() for name in ("ARGILLA_API_URL", "ARGILLA_API_KEY")}
    if not any(given.values()):
        return None
    for name, value in given.items():
        if not value:
            (other,) = set(given) - {name}
            raise LabelError(f"{other} is set and {name} is not.\nSet both to use that Argilla, or none for your own.")
    return _address(given["ARGILLA_API_URL"], given["ARGILLA_API_KEY"])


def address(workspace_folder: str | Path, environ: Mapping[str, str] = os.environ) -> Address:
    """The team's Argilla, where one is named, else the workspace's own.

    Raises:
        LabelError: as `team`, or no team's is named and no server runs.
    """
    if named := team(environ):
        return named
    home = Home.of(workspace_folder)
    if (serving := running(home)) is None:
        raise LabelError(
            "no Argilla runs for this workspace.\n"
            "Start one with `clw label serve`, or set ARGILLA_API_URL and ARGILLA_API_KEY to your team's."
        )
    return Address(serving.url, home.api_key, embedded=True)


def _address(url: str, api_key: str) -> Address:
    import httpx

    shown = short(bare(url), 60)
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        raise LabelError(f"ARGILLA_API_URL: {shown!r} is no address.\n{LIKE}") from None
    if parsed.scheme not in ("http", "https") or not re.fullmatch(r"[\w.:-]+", parsed.host):
        raise LabelError(f"ARGILLA_API_URL: {shown!r} has no http:// or https:// and host.\n{LIKE}")
    login = (parsed.username, parsed.password) if parsed.userinfo else None
    plain = str(parsed.copy_with(userinfo=b"", query=None, fragment=None))
    return Address(plain.rstrip("/").removesuffix("/api/v1"), api_key, login=login)
