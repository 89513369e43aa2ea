"""Preferences as sources hand them out in pairs: an answer, and another that was liked better."""

from clworkbench.signals.feedback import told_with
from clworkbench.signals.messages import Message
from clworkbench.signals.rows import Row, Rows


def preferred(interaction: Row, better: list[Message], rows: Rows, *own: str, said: Row | None = None) -> Row:
    """The feedback on an answer that lost to a better one.

    A pair has one prompt and two answers, so it becomes one interaction, whose output is the answer that lost, and
    this: kind `preference`, score -1, the winner as `improvement`. A training set makes the pair again from it, or
    learns the winner. Who preferred it is not told by pairs: `origin` and `explicit` are null.

    Args:
        interaction: the row of the answer that lost, with its `interaction_id` and `raw_sha256`.
        better: the answer that won.
        rows: makes the ids.
        own: what tells this preference from others on the same answer.
        said: more fields of `feedback_row`, e.g. `at`, `actor`, `value`, `origin`.
    """
    words: Row = {"name": "preferred", "kind": "preference", "score": -1, **(said or {})}
    row = told_with(interaction, words, rows, str(words["name"]), *own, origin=None)
    return row | {"improvement": better}
