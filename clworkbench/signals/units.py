"""Several units in one record: each is read by itself, and one that cannot be read is quarantined alone."""

from collections.abc import Callable

from clworkbench.signals.rows import Row, Rows
from clworkbench.signals.values import Unreadable, kind_of, sha256_of


def read_unit(item: object, rows: Rows, read: Callable[[Row, Rows], None], *, place: str) -> None:
    """Ends one unit of a record that holds several.

    Args:
        item: the unit; whoever reads it may take it apart.
        rows: gets it, or gets it quarantined.
        read: reads an object as a format's `read` does.
        place: which unit it is, e.g. `data[3]`; no two of a record have the same. Empty for one that is the record.
    """
    digest = sha256_of([place, item])
    try:
        if not isinstance(item, dict):
            raise Unreadable(f"{kind_of(item)}, not an object")
        return read(item, rows)
    except Unreadable as error:
        reason = str(error)
    except RecursionError:
        reason = "nested too deeply to be read"
    return rows.quarantine(f"{place}: {reason}" if place else reason, digest)
