"""Keyed pseudonyms: opaque ids and user keys that only the workspace's key can make again."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

SEPARATOR = "\x1f"


@lru_cache(maxsize=64)
def _keyed(key: bytes, purpose: bytes) -> blake2b:
    """A hash that has taken in the key and nothing else: copying it is half the work of making it."""
    return blake2b(digest_size=16, key=key, person=purpose)


@dataclass(frozen=True)
class Pseudonyms:
    """Makes pseudonyms with the workspace's key (32 bytes, never written into the workspace)."""

    key: bytes

    def __repr__(self) -> str:
        return f"Pseudonyms({self.fingerprint})"

    def _digest(self, purpose: bytes, text: str) -> str:
        hashed = _keyed(self.key, purpose).copy()
        hashed.update(text.encode("utf-8", "surrogatepass"))
        return hashed.hexdigest()

    def id(self, *parts: str) -> str:
        """An opaque id of 32 hex digits; the same parts give the same id. BLAKE2b-128, keyed (RFC 7693)."""
        return self._digest(b"id", SEPARATOR.join(parts))

    def ids(self, source: str, own_ids: Iterable[str]) -> list[str]:
        """`id(source, one)` of each of these, in half the time: the key and the source are taken in once."""
        begun = _keyed(self.key, b"id").copy()
        begun.update(f"{source}{SEPARATOR}".encode("utf-8", "surrogatepass"))
        found = []
        for one in own_ids:
            hashed = begun.copy()
            hashed.update(one.encode("utf-8", "surrogatepass"))
            found.append(hashed.hexdigest())
        return found

    def user(self, raw: str) -> str:
        """The key of a user or another actor; never the raw name. E-mail addresses are one however they are spelled."""
        name = raw.strip()
        return self._digest(b"user", name.casefold() if "@" in name else name)

    def surrogate(self, kind: str, raw: str) -> str:
        """Eight hex digits that stand for one personal value, the same wherever it is met."""
        return self._digest(b"surrogate", kind + SEPARATOR + raw)[:8]

    @property
    def fingerprint(self) -> str:
        """Says which key this is without giving it away."""
        return self._digest(b"fingerprint", "")[:16]

    @property
    def split_salt(self) -> str:
        """The salt by which rows are split into training and holdout."""
        return self._digest(b"split", "")
