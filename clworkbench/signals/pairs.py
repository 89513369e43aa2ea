"""Preferences as sources hand them out in pairs: an answer, and another that was liked better."""

from clworkbench.signals.feedback import feedback_row
from clworkbench.signals.messages import Message
from clworkbench.signals.rows import Row, Rows
from clworkbench.signals.values import Fields


def preferred(interaction: Row, better: list[Message], rows: Rows, *, said: Row | None = None) -> Row:
    """The feedback on an answer that lost to a better one.

    A pair has one prompt and two answers, so it becomes one interaction, whose output is the answer that lost, and
    this: kind `preference`, score -1, the winner as `improvement`. A training set makes the pair again from it, or
    learns the winner. Who preferred it is not told by pairs: `origin` and `explicit` are null.

    Args:
        interaction: the row of the answer that lost, with its `interaction_id` and `raw_sha256`.
        better: the answer that won.
        rows: makes the ids.
        said: more fields of `feedback_row`, e.g. `at`, `actor`, `value`, `origin`.
    """
    target = str(interaction["interaction_id"])
    words = Fields({"name": "preferred", "kind": "preference", "score": -1, **(said or {})}, rows.note)
    row = feedback_row(words, rows, target_id=target, target_kind="interaction", origin=None)
    if row["origin"] is None:
        row["explicit"] = None
    return row | {
        "feedback_id": rows.pseudonyms.id(rows.source.name, "feedback", target, "preferred"),
        "improvement": better,
        "raw_sha256": interaction["raw_sha256"],
    }
