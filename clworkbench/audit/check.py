"""One check of an audit: what was asked, whether it holds, and over how many."""

from typing import NamedTuple


class Check(NamedTuple):
    """The answer to one question about an artefact.

    Attributes:
        name: what is checked, in the words of a rule (`hash`, `chain`, `excluded`).
        ok: whether it holds.
        n: how many things were looked at, or, where it fails, how many fail.
        detail: what was found, and where.
    """

    name: str
    ok: bool
    n: int
    detail: str


def passed(name: str, n: int, detail: str) -> Check:
    """A check that holds, over `n` things."""
    return Check(name=name, ok=True, n=n, detail=detail)


def failed(name: str, n: int, detail: str) -> Check:
    """A check that does not hold, for `n` things."""
    return Check(name=name, ok=False, n=n, detail=detail)
