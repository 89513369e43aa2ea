"""Small frames as aligned text, for a terminal."""

import polars as pl


def table(frame: pl.DataFrame) -> list[str]:
    """A small frame as aligned lines, its column names first; null is a dash, floats have three digits."""
    rows = [frame.columns, *([_cell(value) for value in row] for row in frame.iter_rows())]
    widths = [max(len(row[i]) for row in rows) for i in range(len(frame.columns))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def visible(text: str) -> str:
    """Text whose control characters are shown, not obeyed: what production wrote must not steer a terminal."""
    return "".join(char if char.isprintable() or char in "\n\t" else f"\\x{ord(char):02x}" for char in text)


def short(value: object, width: int = 90) -> str:
    """A value on one line of at most `width` characters."""
    text = visible(str(value).replace("\n", "⏎"))
    return text if len(text) <= width else text[: width - 1] + "…"


def _cell(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else visible(str(value))
