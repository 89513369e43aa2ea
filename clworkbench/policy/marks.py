"""Marks: what stands in a text for a personal value that was taken out."""

KEYED = r"\[[A-Z][A-Z_]*_[0-9a-f]{8}\]"
"""In the tables, by either tier: `[EMAIL_1a2b3c4d]`, the same wherever the value is met."""

NUMBERED = r"\[[A-Z][A-Z_]*(?:_[0-9]{1,6})?\]"
"""In what leaves, numbered within a row: `[EMAIL]`, `[EMAIL_2]`."""

MARK = f"(?:{KEYED}|{NUMBERED})"


def mark(kind: str, digits: str) -> str:
    """The mark of a kind (`EMAIL`) and a number or a surrogate's digits; without digits `[EMAIL]`."""
    return f"[{kind}_{digits}]" if digits else f"[{kind}]"
