"""What a row of a model's call should say and does not, noted for the report on fidelity."""

from clworkbench.schemas import ANSWER_OPERATIONS
from clworkbench.signals.rows import Row, Rows

FREE = "a price of 0 where there were tokens"


def note_gaps(row: Row, rows: Rows) -> None:
    """Notes what a model's call that did not fail should say and does not, and a price that is none."""
    if row.get("operation") in ANSWER_OPERATIONS and not row.get("error"):
        for name in ("input", "output"):
            if not row.get(name):
                rows.note(f"{name} missing at the source", str(row["operation"]))
    if row.get("cost_usd") == 0 and (row.get("n_input_tokens") or row.get("n_output_tokens")):
        rows.note(FREE, str(row.get("operation")))
