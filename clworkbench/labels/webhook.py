"""Argilla's webhooks: which answers were touched, told at once, and signed so that nobody else can tell it."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from clworkbench.labels.rest import Rest

EVENTS = ("response.created", "response.updated", "response.deleted")
"""What an annotator does. Argilla tells `record.updated` of the same, which would come twice."""

TOLERANCE_S = 300.0
"""How far a delivery's time may be from ours; within it, each is taken once."""


class BadDelivery(ValueError):
    """Why a delivery is not taken."""


class Hook(msgspec.Struct):
    """A webhook that stands in Argilla; the secret signs what it sends."""

    id: str
    url: str
    secret: str
    description: str | None = None

    def __repr__(self) -> str:
        return f"Hook({self.url})"


class Touched(NamedTuple):
    """A record whose answers were touched: the data set's name and Argilla's id of the record."""

    data_set: str
    record_id: str


class _Hooks(msgspec.Struct):
    items: list[Hook]


class _DataSet(msgspec.Struct):
    name: str


class _Record(msgspec.Struct):
    id: str
    dataset: _DataSet


class _Response(msgspec.Struct):
    record: _Record


class _Event(msgspec.Struct):
    type: str
    data: msgspec.Raw


def listen(argilla: Rest, url: str, owner: str) -> Hook:
    """Has Argilla tell `url` of every answer from now on; what the same owner left behind is taken away.

    Args:
        argilla: a connection with an owner's key.
        url: where deliveries are taken.
        owner: whose webhook it is, in words that Argilla's page shows.

    Raises:
        LabelError: the key is no owner's, or there are ten webhooks already.
    """
    for left in argilla.call("GET", "webhooks", _Hooks).items:
        if left.description == owner:
            hang_up(argilla, left.id)
    body = {"url": url, "events": list(EVENTS), "description": owner}
    return argilla.call("POST", "webhooks", Hook, json=body)


def hang_up(argilla: Rest, hook_id: str) -> None:
    """Takes a webhook away; one that is gone already is fine.

    Raises:
        LabelError: Argilla cannot be reached.
    """
    from clworkbench.labels.rest import Refused

    try:
        argilla.call("DELETE", f"webhooks/{hook_id}", type(None))
    except Refused as error:
        if error.status != 404:
            raise


class Verifier:
    """Tells Argilla's deliveries from others', and each from its copies.

    Source: Standard Webhooks 1.0.0 (standardwebhooks.com): HMAC-SHA256 over `id.timestamp.body`.
    """

    def __init__(self, secret: str) -> None:
        self._key = base64.b64decode(secret.removeprefix("whsec_"))
        self._taken: dict[str, float] = {}

    def check(self, headers: Mapping[str, str], body: bytes, now_s: float) -> bool:
        """Whether this delivery is a new one: False for a copy of one that was taken.

        Args:
            headers: with names in lower case.
            body: as it came.
            now_s: seconds since 1970.

        Raises:
            BadDelivery: no signature that fits, or too old, or from the future.
        """
        own, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if not (own and stamp.isascii() and stamp.isdecimal()):
            raise BadDelivery("its id or time is missing")
        if abs(now_s - int(stamp)) > TOLERANCE_S:
            raise BadDelivery("it is too old, or from the future")
        expected = hmac.digest(self._key, f"{own}.{stamp}.".encode() + body, hashlib.sha256)
        signatures = [_decoded(each) for each in headers.get("webhook-signature", "").split(" ")]
        if not any([hmac.compare_digest(expected, each) for each in signatures]):  # noqa: C419  all, in equal time
            raise BadDelivery("its signature does not fit")
        oldest = now_s - 2 * TOLERANCE_S
        self._taken = {each: at for each, at in self._taken.items() if at > oldest}
        if own in self._taken:
            return False
        self._taken[own] = now_s
        return True


def _decoded(signature: str) -> bytes:
    """The bytes of a signature of the first version, b"" of others."""
    version, _, text = signature.partition(",")
    try:
        return base64.b64decode(text, validate=True) if version == "v1" else b""
    except (binascii.Error, ValueError):
        return b""


def touched(body: bytes) -> Touched | None:
    """The record that an event is about; None where it is about no answer.

    Raises:
        BadDelivery: no event as Argilla 2 sends it.
    """
    try:
        event = msgspec.json.decode(body, type=_Event)
        if event.type not in EVENTS:
            return None
        record = msgspec.json.decode(event.data, type=_Response).record
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise BadDelivery(f"no event of Argilla's: {type(error).__name__}") from None
    return Touched(record.dataset.name, record.id)
