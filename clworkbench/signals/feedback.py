"""Feedback rows, out of the loose fields in which sources write them."""

from clworkbench.schemas import FEEDBACK_KINDS, ORIGINS
from clworkbench.signals.messages import conversation
from clworkbench.signals.rows import Row, Rows
from clworkbench.signals.values import Fields, Unreadable, as_bool, as_number, encoded, nested, shape_of

JUDGES = {"HUMAN": "reviewer", **dict.fromkeys(("LLM", "LLM_JUDGE", "AI_JUDGE", "CODE"), "system")}
"""What tools call who annotates or assesses (Phoenix, MLflow), and the origin that each is."""


def feedback_row(fields: Fields, rows: Rows, *, target_id: str, target_kind: str, origin: str | None = "user") -> Row:
    """The row that these fields make, but for `feedback_id` and `raw_sha256`.

    Fields: `name`, `kind`, `score` (-1 to 1; true and false are 1 and -1), `weight` (1 when absent), `value`,
    `improvement` (a text, a message or messages), `comment`, `origin`, `explicit`, `actor`, `at`. A score outside its
    range is kept in `value`, and so is every other field. `origin` is what an absent one means; where nobody can tell
    who speaks, nobody can tell whether it was meant as feedback either: `explicit` is null as `origin` is.
    Raises Unreadable for a time, a kind, an origin or an improvement that cannot be read.
    """
    improvement = fields.raw("improvement")
    better = None if improvement in (None, "") else conversation(improvement, rows.note, role="assistant")
    score, odd_score = _score(fields.raw("score"), rows)
    actor = fields.text("actor")
    comment = fields.text("comment")
    name = fields.text("name")
    kind = _word(fields, "kind", FEEDBACK_KINDS)
    explicit = fields.raw("explicit")
    row: Row = {
        "target_id": target_id,
        "target_kind": target_kind,
        "kind": kind or _kind(better=better is not None, score=score is not None, comment=comment is not None),
        "name": name,
        "score": score,
        "weight": _weight(fields),
        "improvement": better,
        "comment": comment,
        "origin": _word(fields, "origin", ORIGINS) or origin,
        "explicit": None if explicit in (None, "") else as_bool(explicit),
        "actor_key": None if actor is None else rows.pseudonyms.user(actor),
        "at": fields.moment("at"),
    }
    row["name"] = name or row["kind"]
    if row["explicit"] is None and row["kind"] in ("rating", "correction", "preference", "comment"):
        row["explicit"] = None if row["origin"] is None else row["origin"] != "system"
    row["value"] = _value(fields.raw("value"), odd_score, fields.rest, rows)
    return row


def target_of(own_id: str, kind: str, rows: Rows) -> str:
    """The `target_id` of feedback on what its source knows by this id: an interaction's is ours, any other its own."""
    return (
        rows.pseudonyms.id(rows.source.target_source or rows.source.name, own_id) if kind == "interaction" else own_id
    )


def identified(row: Row, rows: Rows, digest: str, *own: str) -> Row:
    """A feedback row with its `feedback_id`, made of what it is known by at its source, and its record's hash."""
    return row | {"feedback_id": rows.pseudonyms.id(rows.source.name, "feedback", *own), "raw_sha256": digest}


def told_with(interaction: Row, said: Row, rows: Rows, *own: str, origin: str | None) -> Row:
    """The feedback on an interaction that the interaction's own record tells.

    Args:
        interaction: its row, with `interaction_id` and `raw_sha256`.
        said: the fields of `feedback_row`.
        rows: makes the ids, takes notes.
        own: what tells this feedback from other feedback on the same interaction.
        origin: whose it is.
    """
    target = str(interaction["interaction_id"])
    row = feedback_row(Fields(said, rows.note), rows, target_id=target, target_kind="interaction", origin=origin)
    return identified(row, rows, str(interaction["raw_sha256"]), target, *own)


def _kind(*, better: bool, score: bool, comment: bool) -> str:
    if better:
        return "correction"
    if score:
        return "rating"
    return "comment" if comment else "event"


def _score(raw: object, rows: Rows) -> tuple[float | None, object]:
    """The score, and the raw one where it is none."""
    if raw is None or raw == "":
        return None, None
    try:
        if isinstance(raw, bool) or str(raw).lower() in ("true", "false"):
            return (1.0 if as_bool(raw) else -1.0), None
        score = as_number(raw)
    except Unreadable as error:
        rows.note("score that is no number, kept in value", str(error))
        return None, raw
    if -1 <= score <= 1:
        return score, None
    rows.note("score outside -1 to 1, kept in value", shape_of(str(raw)))
    return None, raw


def _weight(fields: Fields) -> float:
    weight = fields.share("weight")
    return 1.0 if weight is None else weight


def _word(fields: Fields, name: str, known: tuple[str, ...]) -> str | None:
    word = fields.raw(name)
    if word is None or word == "" or word in known:
        return word or None
    raise Unreadable(f"{name}: {shape_of(word)}, none of {', '.join(known)}")


def _value(value: object, odd_score: object, rest: Row, rows: Rows) -> str | None:
    value = nested(value)
    extra = {key: inner for key, inner in rest.items() if inner is not None and inner != ""}
    if odd_score is not None:
        if value is None and not extra:
            return encoded(odd_score)
        extra["score"] = odd_score
    if extra:
        return encoded(rows.keyed(extra if value is None else {"value": value, **extra}))
    return None if value is None or value == "" else encoded(rows.keyed(value))
