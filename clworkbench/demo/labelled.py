"""A made-up desk whose answers want reviewing: a workspace with question sets, and what the right answers are."""

import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import polars as pl

from clworkbench.demo.desk_people import ACTIONS, expected, wordings
from clworkbench.demo.opening import found
from clworkbench.demo.story import STORY
from clworkbench.loop.data import import_labels
from clworkbench.loop.signals.capture import ingest
from clworkbench.workspace import Workspace

SETTINGS = f"""\
[outcomes]
thumbs = {{ score = "thumbs" }}

[slices]
cancellations = "text LIKE '%cancel%'"
parcels = "text LIKE '%parcel%' OR text LIKE '%delivery%'"

[candidates]
n = 27

[labels.ask.review]
asks = ["accept", "rate", "choose", "correct"]
options = {json.dumps([*ACTIONS])}
overlap = 2
gold = 0.25
experts = ["ada"]
guidelines = "guidelines.md"
"""

GUIDELINES = """\
# Is the desk's answer right?

Accept an answer if intent *and* action are right. If not, reject it and correct the text: it stands there as the model
wrote it. Rate what is left of its use: 5 is right, 1 sends the customer the wrong way.
"""

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)
CHATS = 240
RIGHT = 0.65
"""Share of the made-up model's answers that are right."""

KNOWN = 9
"""Signals whose right answer an expert has written down beforehand."""


def open_labelled(place: str | Path) -> Workspace:
    """Opens a workspace; where there is none, one is made with made-up traffic, a question set and known answers.

    All of it is synthetic: desk, customers, model and answers. Relative places are found as `opening.open_desk` does.
    """
    folder = found(Path(place))
    if (folder / "catalog.db").exists():
        return Workspace(folder)
    workspace = Workspace.create(folder, settings=SETTINGS, key=sha256(b"demo labelled").digest())
    (folder / STORY).write_text('{"story": "labelled"}')
    (folder / "guidelines.md").write_text(GUIDELINES)
    with TemporaryDirectory() as inbox:
        log = Path(inbox) / "desk.jsonl"
        log.write_text("".join(json.dumps(record) + "\n" for record in traffic()))
        ingest(workspace, log, "openai")
        known = Path(inbox) / "known.csv"
        known_answers(workspace).write_csv(known)
        import_labels(workspace, known, source="gold")
    return workspace


def traffic(seed: int = 0) -> list[dict[str, object]]:
    """Chats in OpenAI's shape, about a third of them answered wrongly, some with a customer's thumb."""
    random = Random(f"labelled answers {seed}")
    return [_chat(number, intent, text, random) for number, (intent, text) in enumerate(_asked(seed))]


def _asked(seed: int = 0) -> list[tuple[str, str]]:
    """What customers meant and wrote, a chat each."""
    written = wordings().filter(~pl.col("held_out")).select("intent", "text").rows()
    return Random(f"labelled {seed}").sample(written, CHATS)


def _chat(number: int, intent: str, text: str, random: Random) -> dict[str, object]:
    at = MONDAY + timedelta(minutes=17 * number)
    right = random.random() < RIGHT
    answered = intent if right else random.choice([other for other in ACTIONS if other != intent])
    thumb = {"name": "thumbs", "score": 1 if right else -1, "at": (at + timedelta(minutes=4)).isoformat()}
    return {
        "id": f"chat-{number}",
        "created": at.isoformat(),
        "user": f"customer{number % 90}@mail.example",
        "messages": [
            {"role": "user", "content": text},
            {"role": "assistant", "content": expected(answered, new_policy=False)},
        ],
        "feedback": [thumb] if random.random() < 0.3 else [],
        "metadata": {"confidence": round(random.uniform(0.6, 1.0) if right else random.uniform(0.3, 0.9), 3)},
    }


def right_answers(workspace: Workspace) -> dict[str, str]:
    """By interaction, the answer that would have been right: the simulation knows what each customer meant."""
    meant = {f"chat-{number}": expected(intent, new_policy=False) for number, (intent, _) in enumerate(_asked())}
    rows = workspace.signals().select("interaction_id", "source_id").rows()
    return {own: meant[source_id] for own, source_id in rows if source_id in meant}


def known_answers(workspace: Workspace) -> pl.DataFrame:
    """A reviewers' sheet of answers that are known: whether the model's was right, drawn by the workspace's key."""
    right = right_answers(workspace)
    drawn = sorted(right, key=lambda own: workspace.pseudonyms.id("known", own))[:KNOWN]
    said = workspace.signals().filter(pl.col("interaction_id").is_in(drawn)).select("interaction_id", "answer")
    truth = pl.col("interaction_id").replace_strict(right, return_dtype=pl.String)
    value = pl.when(pl.col("answer") == truth).then(pl.lit("accept")).otherwise(pl.lit("reject"))
    return said.sort("interaction_id").select("interaction_id", value=value, annotator=pl.lit("the desk's handbook"))
