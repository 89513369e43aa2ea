"""Models that answer elsewhere: chat endpoints that speak OpenAI's words, `[endpoints.NAME]`."""

import re
from collections.abc import Mapping
from math import isfinite
from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from clworkbench.errors import SettingsError

HERE = ("localhost", "127.0.0.1", "::1")
"""Hosts to which an address without TLS may lead."""

Usd = Annotated[float, msgspec.Meta(ge=0)]


class EndpointSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One endpoint; `endpoint:NAME` names its model.

    Attributes:
        url: the address up to before `/chat/completions`, e.g. `https://api.example.org/v1`.
        model: what the endpoint calls the model.
        key_env: the environment variable that holds the key; None sends none. The key itself stands in no file.
        concurrency: requests at a time.
        retries: how often a request is sent again when the endpoint is busy or the connection breaks.
        timeout_seconds: the longest that a request may take.
        usd_per_million_prompt: US dollars for a million tokens of prompts; None where nobody says (0 is a price).
        usd_per_million_completion: the same for tokens of answers.
        allow_http: lets texts and key go to another machine without TLS.
    """

    url: str
    model: str
    key_env: str | None = None
    concurrency: Annotated[int, msgspec.Meta(ge=1, le=256)] = 4
    retries: Annotated[int, msgspec.Meta(ge=0, le=20)] = 5
    timeout_seconds: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 60.0
    usd_per_million_prompt: Usd | None = None
    usd_per_million_completion: Usd | None = None
    allow_http: bool = False

    @property
    def address(self) -> str:
        """`url` without a slash, or what every endpoint's address ends with, at its end."""
        return self.url.strip().rstrip("/").removesuffix("/chat/completions").rstrip("/")


def check_endpoints(endpoints: Mapping[str, EndpointSettings], place: str) -> None:
    """Refuses endpoints to which nothing could be sent, or only in the open.

    Raises:
        SettingsError: with the endpoint's name, and never with what may be a secret.
    """
    for name, settings in endpoints.items():
        if not re.fullmatch(r"[A-Za-z0-9_.-]{1,80}", name):
            raise SettingsError(
                f"{place}: [endpoints.{name[:80]!r}]: a name holds letters, digits, ., - and _ only. Rename it."
            )
        if found := fault(settings):
            raise SettingsError(f"{place}: [endpoints.{name}] {found}")


def fault(settings: EndpointSettings) -> str | None:
    """What is wrong with an endpoint's settings, in words; None where nothing is."""
    if found := _fault_of_address(settings):
        return found
    if not settings.model.strip():
        return "model is empty. Write what the endpoint calls the model."
    # What stands in a name's place may be the key itself: it is not quoted.
    if settings.key_env is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", settings.key_env):
        return (
            "key_env names the environment variable that holds the key, in letters, digits and _: "
            "key_env = 'MODEL_KEY'. The key itself is a secret; keep it out of this file."
        )
    prices = (settings.usd_per_million_prompt, settings.usd_per_million_completion)
    if prices.count(None) == 1:
        return "one price is missing: set usd_per_million_prompt and usd_per_million_completion, or neither."
    if any(price is not None and not isfinite(price) for price in prices):
        return f"prices {prices}: write US dollars, e.g. usd_per_million_prompt = 0.15."
    return None


def _fault_of_address(settings: EndpointSettings) -> str | None:
    address = settings.url.strip()
    like = "It looks like https://api.example.org/v1, or http://127.0.0.1:8000/v1."
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return f"url is no address. {like}"
    if not host or not address.isascii() or not address.isprintable() or " " in address:
        return f"url is no address. {like}"
    if parts.username is not None or parts.query or parts.fragment:
        return f"url holds more than an address (a user, or what stands behind ? or #). {like} Keys go into key_env."
    if parts.scheme != "https" and not (parts.scheme == "http" and (host in HERE or settings.allow_http)):
        return f"url = {address[:80]!r} is no https address (http only to this machine, or with allow_http = true)."
    return None
