"""Trees of messages in which people ranked the replies, as Open Assistant shares them."""

from clworkbench.signals.feedback import told_with
from clworkbench.signals.messages import Message
from clworkbench.signals.rows import Row, Rows
from clworkbench.signals.shapes.pairs import preferred
from clworkbench.signals.values import Fields, Unreadable, kind_of, sha256_of

ROLES = {"prompter": "user", "assistant": "assistant"}
THUMBS = {"+1": 1, "-1": -1}
DEEPEST = 200


def why(record: Row) -> str | None:
    """What makes an object a tree, or None."""
    prompt = record.get("prompt")
    if "message_tree_id" in record and isinstance(prompt, dict) and "replies" in prompt:
        return "an object with message_tree_id and a prompt with replies"
    return None


def read(record: Row, rows: Rows) -> None:
    """Reads a tree: each reply of an assistant is an interaction, and counts as a record.

    The messages above it are its input; `source_id` is its `message_id`, `parent_id` the answer above it, the tree the
    conversation. Of two siblings with different ranks (0 is best) the lower is preferred over: one feedback for each
    such pair, by reviewers, with the better as improvement and both ranks in `value`. Reactions `+1` and `-1` are
    `thumbs` feedback, how many in `value`. All else that stands with a message, or with the prompter's above it,
    stays in `attributes`. The replies were written by people, but for those that name a model. A tree nobody answered
    is skipped; a tree that is damaged anywhere is quarantined whole.

    Source: Open Assistant, message trees; https://projects.laion.ai/Open-Assistant/docs/data/schemas
    """
    prompt = record["prompt"]
    if not isinstance(prompt, dict):
        raise Unreadable(f"prompt: {kind_of(prompt)}, where an object is wanted")
    tree = record.get("message_tree_id")
    found: list[tuple[Row, list[Row]]] = []
    _walk(prompt, [], None, str(tree), found, rows)
    if not found:
        rows.skip("a tree without an answer")
    for interaction, feedback in found:
        rows.add(interaction, feedback)


def _walk(
    node: Row, above: list[Row], answered: str | None, tree: str, found: list[tuple[Row, list[Row]]], rows: Rows
) -> None:
    """Reads what hangs below a node; `answered` is the id of the last answer on the way to it."""
    replies = node.get("replies") or []
    if not isinstance(replies, list) or not all(isinstance(reply, dict) for reply in replies):
        raise Unreadable("replies: not a list of objects")
    if len(above) > DEEPEST:
        raise Unreadable(f"a tree of more than {DEEPEST} levels")
    path = [*above, node]
    for reply in replies:
        own_id = None
        if _role(reply) == "assistant":
            row = _interaction(reply, path, answered, tree, rows)
            own_id = row["source_id"]
            found.append((row, [*_pairs(reply, replies, row, rows), *_thumbs(reply, row, rows)]))
        _walk(reply, path, own_id if isinstance(own_id, str) else answered, tree, found, rows)


def _role(node: Row) -> str:
    role = node.get("role")
    return ROLES.get(role, role) if isinstance(role, str) else "user"


def _message(node: Row) -> Message:
    text = node.get("text")
    if not isinstance(text, str):
        raise Unreadable(f"a message's text is {kind_of(text)}")
    return Message(_role(node), text)


def _interaction(node: Row, path: list[Row], answered: str | None, tree: str, rows: Rows) -> Row:
    fields = Fields({key: value for key, value in node.items() if key not in ("replies", "text", "role")}, rows.note)
    texts = [one.get("text") for one in [*path, node]]
    digest = sha256_of([fields.rest, texts])
    own_id = fields.text("message_id", "id")
    user = fields.text("user_id")
    asked = {key: value for key, value in path[-1].items() if key not in ("replies", "text", "role")}
    row: Row = {
        "source_id": own_id,
        "parent_id": answered,
        "conversation_id": tree,
        "user_key": None if user is None else rows.pseudonyms.user(user),
        "operation": "chat",
        "started_at": fields.moment("created_date"),
        "model": fields.text("model_name"),
        "input": [_message(one) for one in path],
        "output": [_message(node)],
        "raw_sha256": digest,
        "attributes": rows.attributes(fields.rest | {"asked": asked}),
    }
    row["interaction_id"] = rows.identity(own_id, digest)
    return row


def _rank(node: Row) -> float | None:
    rank = node.get("rank")
    return rank if isinstance(rank, int | float) and not isinstance(rank, bool) else None


def _pairs(lost: Row, siblings: list[object], row: Row, rows: Rows) -> list[Row]:
    """One preference for each sibling that was ranked better."""
    rank = _rank(lost)
    better = [
        one
        for one in siblings
        if isinstance(one, dict) and (of := _rank(one)) is not None and rank is not None and of < rank
    ]
    return [
        preferred(
            row,
            [_message(one)],
            rows,
            str(one.get("message_id") or at),
            said={"value": {"rank": rank, "over": _rank(one)}, "origin": "reviewer"},
        )
        for at, one in enumerate(better)
        if _role(one) == "assistant"
    ]


def _thumbs(node: Row, row: Row, rows: Rows) -> list[Row]:
    emojis = node.get("emojis")
    said = emojis if isinstance(emojis, dict) else {}
    words: Row = {"name": "thumbs", "kind": "rating"}
    return [
        told_with(row, words | {"score": score, "value": said[mark]}, rows, "thumbs", mark, origin="reviewer")
        for mark, score in THUMBS.items()
        if said.get(mark)
    ]
