"""Where Argilla is: the team's, or the workspace's own server."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from clworkbench.display.text import short
from clworkbench.errors import LabelError
from clworkbench.labels.rest import LIKE, bare
from clworkbench.labels.server.home import Home
from clworkbench.labels.server.process import running

OF_A_TEAM = "ARGILLA_API_URL"
"""The variable that names a team's server; where it is set, this machine starts none."""


@dataclass(frozen=True)
class Address:
    """Where Argilla is, and the key it lets us in by; `embedded` if it is the workspace's own server."""

    url: str
    api_key: str = field(repr=False)
    embedded: bool = False


def address(workspace_folder: str | Path, environ: Mapping[str, str] = os.environ) -> Address:
    """The team's Argilla, where `ARGILLA_API_URL` and `ARGILLA_API_KEY` name one, else the workspace's own.

    Raises:
        LabelError: only one of the two is set, or none and no server runs.
    """
    given = {name: environ.get(name, "").strip() for name in ("ARGILLA_API_URL", "ARGILLA_API_KEY")}
    if all(given.values()):
        return Address(_checked_url(given["ARGILLA_API_URL"]), given["ARGILLA_API_KEY"])
    for name, value in given.items():
        if value:
            (other,) = set(given) - {name}
            raise LabelError(f"{name} is set and {other} is not.\nSet both to use that Argilla, or none for your own.")
    home = Home.of(workspace_folder)
    if (serving := running(home)) is None:
        raise LabelError(
            "no Argilla runs for this workspace.\n"
            "Start one with `clw label serve`, or set ARGILLA_API_URL and ARGILLA_API_KEY to your team's."
        )
    return Address(serving.url, home.api_key, embedded=True)


def _checked_url(url: str) -> str:
    import httpx

    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise LabelError(f"ARGILLA_API_URL is no address: {error}.\n{LIKE}") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise LabelError(f"ARGILLA_API_URL: {short(bare(url), 60)!r} has no http:// or https:// and host.\n{LIKE}")
    return url.rstrip("/").removesuffix("/api/v1")
