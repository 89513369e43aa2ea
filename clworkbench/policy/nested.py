"""The strings of a column, however deep in lists and structs, changed in place."""

from collections.abc import Callable

import polars as pl

Change = Callable[[pl.Series, pl.Series], pl.Series]
"""From strings, and the row that each stands in, to as many strings; the same object where none changes."""

Plan = Change | dict[str, "Plan"]
"""What is done to a string, by the fields of the structs that it stands in."""


def change_strings(column: pl.Series, plan: Plan, rows: pl.Series | None = None) -> pl.Series:
    """A column whose strings are changed as planned.

    Args:
        column: strings, or lists or structs of them.
        plan: fields that it does not name, and what is no string, stay as they are.
        rows: the row of each element; the elements' own positions when None.

    Returns:
        The same object if no string changed.
    """
    if rows is None:
        rows = pl.int_range(len(column), dtype=pl.UInt32, eager=True)
    if isinstance(column.dtype, pl.List):
        inner = column.explode(empty_as_null=False, keep_nulls=False)
        owners = rows.repeat_by(column.list.len().fill_null(0)).explode(empty_as_null=False, keep_nulls=False)
        changed = change_strings(inner, plan, owners)
        return column if changed is inner else _regroup(changed, column)
    if not isinstance(plan, dict):
        return plan(column, rows) if column.dtype == pl.String else column
    if not isinstance(column.dtype, pl.Struct):
        return column
    fields = column.struct.unnest()
    old = [fields[name] for name in plan if name in fields.columns]
    new = [change_strings(field, plan[field.name], rows) for field in old]
    if all(a is b for a, b in zip(old, new, strict=True)):
        return column
    rebuilt = fields.with_columns(new).to_struct(column.name)
    return rebuilt if not column.null_count() else rebuilt.set(column.is_null(), None)


def _regroup(flat: pl.Series, like: pl.Series) -> pl.Series:
    """Lists of the lengths that `like` has, filled with `flat`; empty and missing lists stay what they are."""
    rows = pl.int_range(len(like), eager=True).alias("row")
    lengths = like.list.len().fill_null(0)
    owner = rows.repeat_by(lengths).explode(empty_as_null=False, keep_nulls=False)
    filled = pl.DataFrame([owner.alias("row"), flat.alias("new")]).group_by("row").agg("new")
    both = pl.DataFrame([rows, like.alias("old")]).join(filled, on="row", how="left", maintain_order="left")
    return both.select(pl.coalesce("new", "old").alias(like.name)).to_series()
