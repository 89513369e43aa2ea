"""Requests to Argilla: tried again where that is safe, and every refusal and failure in words, never with a key."""

import re
import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

import msgspec

from clworkbench.display.text import short
from clworkbench.errors import LabelError

if TYPE_CHECKING:
    import httpx

TRIES = 6
FIRST_WAIT_S = 0.25
"""Six tries, each wait twice the one before: 7.75 s in all."""

BUSY = (429, 500, 502, 503, 504)
"""Answers after which the same request may go well."""

LIKE = "It looks like https://argilla.example.org, or http://127.0.0.1:6900."

T = TypeVar("T")


class Refused(LabelError):
    """Argilla answered, and its answer is no."""

    def __init__(self, words: str, status: int) -> None:
        super().__init__(words)
        self.status = status


class Rest:
    """A connection; close it, or use it in `with`."""

    def __init__(self, http: "httpx.Client", url: str) -> None:
        self.http = http
        self.url = url
        self.version = self.username = self.role = ""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url}, {self.version}, as {self.username})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.http.close()

    def call(
        self,
        method: str,
        path: str,
        kind: type[T],
        *,
        json: object = None,
        params: Mapping[str, object] | None = None,
        tries: int = TRIES,
    ) -> T:
        """One request, tried again where that is safe and may help; its answer as `kind` (`None`: it is not read).

        Args:
            method: what is asked; what a POST makes is asked for once more only if it was never heard.
            path: after `/api/v1/`.
            kind: a type that `msgspec` decodes.
            json: the body.
            params: of the address.
            tries: how often, with longer and longer waits.

        Raises:
            Refused: Argilla says no; its `status` is the HTTP status.
            LabelError: it cannot be reached, or something else answers.
        """
        content = None if json is None else msgspec.json.encode(json)
        response = self._asked(method, path, content, params, tries)
        if not response.is_success:
            raise Refused(self._in_words(response, path), response.status_code)
        if kind is type(None):
            return None
        try:
            return msgspec.json.decode(response.content, type=kind)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise LabelError(
                f"{self.url}: it answers, but not as Argilla does ({short(error, 80)}).\nCheck the address: {LIKE}"
            ) from None

    def _asked(
        self, method: str, path: str, content: bytes | None, params: Mapping[str, object] | None, tries: int
    ) -> "httpx.Response":
        import httpx

        repeatable = method in ("GET", "PUT", "DELETE") or path.endswith("/search")
        for turn in range(1, tries + 1):
            try:
                response = self.http.request(
                    method,
                    f"/api/v1/{path}",
                    content=content,
                    params=None if params is None else {name: str(value) for name, value in params.items()},
                    headers={"Content-Type": "application/json"} if content else None,
                )
                if turn == tries or not repeatable or response.status_code not in BUSY:
                    return response
            except httpx.RequestError as error:
                heard = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
                if turn == tries or (heard and not repeatable):
                    raise LabelError(self._unreachable(error, heard=heard)) from None
            time.sleep(FIRST_WAIT_S * 2 ** (turn - 1))
        raise AssertionError("a last try returns or raises")

    def _unreachable(self, error: "httpx.RequestError", *, heard: bool) -> str:
        import httpx

        # What httpx says of a request that it could not write quotes the headers, and so the key.
        quotes = isinstance(error, httpx.LocalProtocolError)
        said = (not quotes and short(error, 120)) or type(error).__name__
        if not heard:
            return (
                f"{self.url}: nobody answers there ({said}).\n"
                "Is it running? See with `clw label status`; start your own with `clw label serve`, or mend "
                "ARGILLA_API_URL."
            )
        return (
            f"{self.url}: the connection broke ({said}).\n"
            "Nothing is lost: run the same command again once it answers; `clw label status` tells."
        )

    def _in_words(self, response: "httpx.Response", path: str) -> str:
        said = _said(response)
        match response.status_code:
            case 401:
                return f"{self.url}: the key is refused.\nCheck ARGILLA_API_KEY (in Argilla: My settings, API key)."
            case 403:
                return (
                    f"{self.url}: {self.username or 'the key'} ({self.role or 'unknown role'}) may not do this.\n"
                    "Use the key of an owner, or of an admin of that team."
                )
            case 404 if said is None:
                return f"{self.url}: no Argilla there, but another web page.\nCheck the address: {LIKE}"
            case 413:
                return f"{self.url}: more at once than that server takes (HTTP 413)."
            case status if status in BUSY:
                return (
                    f"{self.url}: it fails (HTTP {status}{f': {said}' if said else ''}).\n"
                    "Its log tells why (`clw label status` says where). Run the same command again afterwards."
                )
            case status if 300 <= status < 400:
                to = short(bare(response.headers.get("location", "elsewhere").split("?")[0]), 80)
                return f"{self.url}: it sends on to {to}.\nSet ARGILLA_API_URL to the address that it sends to."
            case status:
                where = re.sub(r"[0-9a-f-]{36}", "…", path)
                return f"{self.url}: {where} is refused (HTTP {status}): {said or 'no reason is given'}."


def bare(url: str) -> str:
    """An address without the user and password that it may hold, whatever is in them."""
    return re.sub(r"^(\w+://)?.*@", r"\1", url, flags=re.DOTALL)


def _said(response: "httpx.Response") -> str | None:
    """What Argilla says was wrong, without the values that it quotes; None where it is not Argilla that speaks."""
    try:
        body = msgspec.json.decode(response.content)
    except msgspec.DecodeError:
        return None
    found = body.get("detail", body.get("message")) if isinstance(body, dict) else None
    if isinstance(found, dict) and isinstance(params := found.get("params"), dict):
        errors = params.get("errors") or [params.get("detail") or found.get("code")]
        found = "; ".join(_of_one(each) for each in errors[:3]) if isinstance(errors, list) else found.get("code")
    return None if found is None else short(found, 300)


def _of_one(error: object) -> str:
    if not isinstance(error, dict):
        return str(error)
    return f"{'.'.join(str(part) for part in error.get('loc', ()))}: {error.get('msg')}"
