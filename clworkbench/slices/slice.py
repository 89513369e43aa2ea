"""Slices: named, versioned expressions over signals, and which rows each of them holds."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from hashlib import blake2b

import polars as pl

from clworkbench import expressions
from clworkbench.errors import SettingsError


@dataclass(frozen=True)
class Slice:
    """A part of the signals, as `[slices]` of clw.toml names it; `str` gives `refunds@1f3a09bc`.

    Attributes:
        name: what it is called.
        expression: SQL over a signal's columns; where it is null, the signal is outside.
    """

    name: str
    expression: str

    @property
    def version(self) -> str:
        """Eight hex digits of the expression: the same however it is spaced and its SQL words are spelled."""
        return blake2b(expressions.canonical(self.expression).encode(), digest_size=4).hexdigest()

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"

    def holds(self, frame: pl.DataFrame) -> pl.Series:
        """In which rows it holds, as Booleans without nulls.

        Raises:
            ExpressionError: it cannot be read, names what is not there, or fails on these rows.
        """
        return expressions.holds(frame, self.expression, where=f"slices.{self.name}")


def named(slices: Mapping[str, str], name: str, *, where: str = "clw.toml") -> Slice:
    """One of `[slices]`.

    Raises:
        SettingsError: there is none of that name.
    """
    if name not in slices:
        close = get_close_matches(name, slices, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise SettingsError(f"no slice {name!r} in {where}. [slices] has {', '.join(slices) or 'none'}.{hint}")
    return Slice(name, slices[name])


def versions(slices: Iterable[Slice]) -> dict[str, str]:
    """The version of each, by name: what a manifest keeps of the slices that it rests on."""
    return {one.name: one.version for one in slices}


def memberships(frame: pl.DataFrame, slices: Iterable[Slice]) -> pl.DataFrame:
    """Which rows each slice holds: a Boolean column for each slice, named for it, the rows in order.

    Raises:
        ExpressionError: as `Slice.holds`.
    """
    return pl.DataFrame([slice_.holds(frame).alias(slice_.name) for slice_ in slices])


def names(frame: pl.DataFrame, slices: Iterable[Slice]) -> pl.Series:
    """The names of the slices that hold each row (list of text), in the order of `slices`.

    Raises:
        ExpressionError: as `Slice.holds`.
    """
    inside = memberships(frame, slices)
    if not inside.width:
        return pl.Series("slices", [[]], dtype=pl.List(pl.String)).new_from_index(0, frame.height)
    found = [pl.when(name).then(pl.lit(name)) for name in inside.columns]
    return inside.select(slices=pl.concat_list(found).list.drop_nulls())["slices"]


def holds_in(frame: pl.DataFrame, text: str, slices: Mapping[str, str], *, where: str) -> pl.Series:
    """In which rows an expression over columns and names of slices is true, as Booleans without nulls.

    A column comes before a slice of its name.

    Raises:
        ExpressionError: it, or a slice that it names, cannot be read or fails on these rows.
    """
    inside = memberships(frame, named_in(frame, text, slices))
    return expressions.holds(frame.hstack(inside) if inside.width else frame, text, where=where)


def named_in(frame: pl.DataFrame, text: str, slices: Mapping[str, str]) -> list[Slice]:
    """The slices that an expression over columns and names of slices may mean."""
    return [Slice(name, own) for name, own in slices.items() if name not in frame.columns and name in text]
