"""What each method does on a small desk: held-out wordings before and after, by seed, with intervals.

`BENCH_SEEDS=0,1,2 BENCH_METHODS=sft,dpo,kto,grpo pytest tests/bench/test_methods.py -s -n 0`; a line is printed as soon
as it is known. The others start from the supervised run, which is therefore always trained: their lines are chains,
held against supervised training alone. Desk, customers and operators are simulated; the model and its answers are real.
Rates and steps were chosen on seed 0, on wordings that are neither in the suite nor in a training set. What the chains
do is printed and not asserted.
"""

import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import NamedTuple

import polars as pl
import pytest

from clworkbench.demo.desk import monday
from clworkbench.demo.desk_people import (
    ACTIONS,
    POLICY_WEEK,
    REOPENED,
    TARGET,
    Ticket,
    Week,
    cast,
    expected,
    history,
    is_right,
    wordings,
    written,
)
from clworkbench.demo.desk_settings import SETTINGS
from clworkbench.demo.desk_traces import events, messages, span_name, traces
from clworkbench.demo.story import answers, freeze, open_story, write_lines
from clworkbench.loop.evals.model import evaluate
from clworkbench.loop.runs.train import Training, train
from clworkbench.loop.signals.capture import ingest
from clworkbench.loop.training_sets.convert import build
from clworkbench.scorers.names import scorer
from clworkbench.statistics.intervals import Interval, wilson
from clworkbench.statistics.paired import tango_interval
from clworkbench.workspace import Workspace

pytestmark = [pytest.mark.slow, pytest.mark.timeout(4 * 3600)]

SEEDS = [int(seed) for seed in os.environ.get("BENCH_SEEDS", "0,1,2").split(",")]
METHODS = os.environ.get("BENCH_METHODS", "sft,dpo,kto,grpo").split(",")
FOLDER = os.environ.get("BENCH_FOLDER")
"""Where the desks are kept: a call that was stopped goes on there, and shows 0 CPU s for runs that it finds."""

INTENTS = list(ACTIONS)[:6]
HISTORY, SUITE, TARGET_SUITE, MESSAGES = 24, 10, 24, 48
WATCHED, UNWATCHED = POLICY_WEEK, POLICY_WEEK + 1
"""In the one week operators edit what the model answers; in the other nobody looks, and customers come back."""

GRPO = """
[training.grpo]
generations = 8
"""


class How(NamedTuple):
    """How a method is trained, from what, and the rates that it is meant to move.

    `where` is what of the weeks from `since` until `until` is learned from; `rows` are a step's.
    """

    kind: str
    steps: int
    rate: float
    since: int
    until: int
    metrics: tuple[tuple[str, str], ...]
    rows: int = 8
    where: str = ""


AFTER_SFT = (("old answer", "target"), ("action", "target"), ("action", "rest"), ("intent", "rest"))
ACTION_ONLY = "".join(f""" AND {said} LIKE '%"{TARGET}"%'""" for said in ("answer", "improvement_text"))
"""The pairs that differ in the action alone: the others would teach intents again, and teach them the target's."""

HOW = {
    "sft": How("sft", 40, 2e-3, 0, 1, (("intent", "target"), ("intent", "rest"))),
    "dpo": How("preference", 6, 2e-4, WATCHED, UNWATCHED, AFTER_SFT, where=ACTION_ONLY),
    "kto": How("unpaired", 12, 1e-4, UNWATCHED, UNWATCHED + 1, AFTER_SFT),
    "grpo": How("prompts", 8, 5e-5, 0, UNWATCHED, (("intent", "all"), ("intent", "target"), ("intent", "rest")), 32),
}


@dataclass(frozen=True)
class Measured:
    """One rate on the held-out wordings, before and after a run."""

    method: str
    seed: int
    rows: int
    steps: int
    cpu_s: float
    metric: str
    slice: str
    n: int
    before: int
    after: int
    wins: int
    losses: int

    @property
    def difference(self) -> Interval:
        """At 95 %, by Tango's score test on the same wordings."""
        return tango_interval(self.wins, self.losses, self.n, level=0.95)

    def __str__(self) -> str:
        low, high = self.difference
        assert low is not None
        assert high is not None
        moved = "not shown to move" if low <= 0 <= high else "rises" if low > 0 else "falls"
        return (
            f"| {self.method} | {self.seed} | {self.rows} | {self.steps} | {self.cpu_s:.0f} | {self.metric}, "
            f"{self.slice} | {self.n} | {_rate(self.before, self.n)} | {_rate(self.after, self.n)} | "
            f"{(self.after - self.before) / self.n:+.2f} [{low:+.2f}, {high:+.2f}] | {moved} |"
        )


HEAD = """
| method | seed | rows | steps | CPU s | rate, slice | n | before [95 %] | after [95 %] | difference [95 %] | |
|---|---|---|---|---|---|---|---|---|---|---|"""


def _rate(k: int, n: int) -> str:
    low, high = wilson(k, n)
    return f"{k / n:.2f} [{low:.2f}, {high:.2f}]"


@pytest.fixture(scope="module")
def measured(tmp_path_factory) -> list[Measured]:
    print(HEAD, flush=True)
    place = Path(FOLDER) if FOLDER else tmp_path_factory.mktemp("desks")
    return [line for seed in SEEDS for line in played(place / f"seed-{seed}", seed)]


def played(place: Path, seed: int) -> list[Measured]:
    """The desk's weeks under one seed, and each method on what they left."""
    import clworkbench.runs.rollouts  # noqa: F401 # TRL's import is no method's time

    workspace = open_story(place, {"story": "methods", "seed": seed}, settings())
    rows = dealt(seed)
    held = rows.filter(pl.col("part") == "suite").iter_rows(named=True)
    freeze(workspace, "wordings", [_example(row["intent"], row["text"]) for row in held])
    hand_in(workspace, 0, lambda: history(rows, seed), seed)
    lines, started, base = learned(workspace, "sft", seed, None, workspace.settings.model.base)
    if len(METHODS) > 1 or "sft" not in METHODS:
        for week in (Week(WATCHED, MESSAGES, 0.5, "pool"), Week(UNWATCHED, MESSAGES, 0.5, "fresh")):
            hand_in(workspace, week.number, lambda week=week: served(workspace, rows, week, base, seed), seed)
    for method in (name for name in METHODS if name != "sft"):
        lines += learned(workspace, method, seed, started, base)[0]
    return lines


def settings() -> str:
    """The desk's own, on one thread, with a verifier."""
    own = SETTINGS.format(target=TARGET, replay=0.85, steps=40, batch_size=8, rate=1e-3, rank=8)
    own = own.replace("threads = 2", "threads = 1")
    return own.replace("[training]", '[training]\nverifier = "json_field:intent"') + GRPO


def dealt(seed: int) -> pl.DataFrame:
    """The wordings of six intents; of those held out, 24 of the target and 10 of each other."""
    rows = cast(wordings(), seed, history=HISTORY, target_history=HISTORY).filter(pl.col("intent").is_in(INTENTS))
    enough = pl.when(pl.col("intent") == TARGET).then(TARGET_SUITE).otherwise(SUITE)
    place = pl.int_range(pl.len()).over("intent", "part")
    return rows.filter((pl.col("part") != "suite") | (place < enough))


def _example(intent: str, text: str) -> dict[str, object]:
    return {"input": messages(text), "expected": expected(intent, new_policy=True), "slices": [intent]}


def hand_in(workspace: Workspace, week: int, asked: Callable[[], list[Ticket]], seed: int) -> None:
    """A week's traces and what happened to its tickets, read until no ticket can reopen in time."""
    inbox = workspace.folder / "inbox"
    said, happened = inbox / f"traces-{week}.jsonl", inbox / f"events-{week}.jsonl"
    until = monday(week + 1) + timedelta(days=2)
    if not happened.exists():
        tickets = asked()
        back = come_back(tickets, seed) if week == UNWATCHED else events(tickets, seed, monday(week), until)
        write_lines(said, traces(tickets, seed))
        write_lines(happened, back)
    ingest(workspace, said, "desk")
    ingest(workspace, happened, "tickets", read_until=until)


def come_back(tickets: Sequence[Ticket], seed: int) -> list[dict[str, object]]:
    """Reopened tickets and nothing else, as often as the desk's customers come back to a right or wrong answer."""
    found = []
    for ticket in tickets:
        message, random = ticket.message, Random(f"{seed} unwatched {ticket.message.ticket}")
        if random.random() < REOPENED[is_right(ticket)]:
            at = message.at + timedelta(seconds=random.randrange(3600, 23 * 3600))
            about = {"ticket": message.ticket, "target": span_name(message.ticket, seed)}
            by = {"at": at.isoformat(), "origin": "user", "actor": message.customer}
            found.append({"id": f"{message.ticket}-back", "name": "reopened", **about, **by})
    return found


def served(workspace: Workspace, rows: pl.DataFrame, week: Week, run: str, seed: int) -> list[Ticket]:
    """A week's messages, each answered by the run."""
    asked = written(rows, week, seed)
    said = answers(workspace, run, [messages(m.text) for m in asked], title=f"week {week.number}", max_new_tokens=32)
    columns = ("output", "confidence", "n_input_tokens", "n_output_tokens")
    told = said.select(columns).iter_rows()
    return [Ticket(message, run, output or "", *more) for message, (output, *more) in zip(asked, told, strict=True)]


def learned(
    workspace: Workspace, method: str, seed: int, before: pl.DataFrame | None, start: str
) -> tuple[list[Measured], pl.DataFrame, str]:
    """Trains a method on its weeks, and prints what became of its rates. Returns them, the answers, and the run."""
    how = HOW[method]
    between = f"started_at >= {_stamp(monday(how.since))} AND started_at < {_stamp(monday(how.until))}{how.where}"
    _rows_a_step(workspace, how.rows)
    made = build(workspace, f"{method}-set", kind=how.kind, where=between)
    began = time.process_time()
    parent = None if method == "sft" else start
    run = train(workspace, made.id, method=method, parent=parent, steps=how.steps, learning_rate=how.rate, seed=seed)
    cpu_s = time.process_time() - began
    before = outcomes(workspace, start) if before is None else before
    after = outcomes(workspace, run.id)
    lines = [_line(method, seed, run, cpu_s, which, before, after) for which in how.metrics]
    if method in METHODS:
        print(*lines, sep="\n", flush=True)
        print(f"<!-- {'; '.join(run.lines()[2:-2])}; answers: {_said(after)} -->", flush=True)
    return lines, after, run.id


def _rows_a_step(workspace: Workspace, rows: int) -> None:
    file = workspace.folder / "clw.toml"
    file.write_text(re.sub(r"(?m)^batch_size = \d+(?=\nlearning_rate)", f"batch_size = {rows}", file.read_text()))


def _stamp(at: datetime) -> str:
    return f"timestamp '{at:%Y-%m-%d}'"


def outcomes(workspace: Workspace, model: str) -> pl.DataFrame:
    """For each held-out wording: `target`, `output`, and whether `intent`, `action` and `old answer` are so."""
    scores = evaluate(workspace, model, "wordings").scores
    of = {name: scores.filter(pl.col("scorer") == f"json_field:{name}") for name in ("intent", "action")}
    wide = of["intent"].select(
        "example_id", "output", intent=pl.col("score") == 1, target=pl.col("slices").list.contains(TARGET)
    )
    wide = wide.join(of["action"].select("example_id", action=pl.col("score") == 1), on="example_id")
    old = pl.Series([expected(TARGET, new_policy=False)] * wide.height)
    edited_away = (scorer("json_field:action")(wide["output"], old) == 1).alias("old answer")
    return wide.with_columns(edited_away).sort("example_id")


def _line(
    method: str, seed: int, run: Training, cpu_s: float, which: tuple[str, str], was: pl.DataFrame, now: pl.DataFrame
) -> Measured:
    metric, slice_ = which
    both = was.join(now, on=["example_id", "target"], suffix="_now", validate="1:1")
    inside = {"all": pl.lit(value=True), "target": pl.col("target"), "rest": ~pl.col("target")}[slice_]
    both = both.filter(inside)
    old, new = both[metric], both[f"{metric}_now"]
    counts = (both.height, old.sum(), new.sum(), (new & ~old).sum(), (old & ~new).sum())
    rows, steps = run.manifest["rows"], run.manifest["steps"]
    return Measured(method, seed, rows, steps, cpu_s, metric, slice_, *counts)


def _said(after: pl.DataFrame) -> str:
    """What the target's wordings are answered with, most often first."""
    counts = after.filter("target")["output"].str.slice(0, 80).value_counts(sort=True).head(4)
    return ", ".join(f"{n} × {output}" for output, n in counts.iter_rows())


def of(measured: Sequence[Measured], method: str, metric: str, slice_: str) -> list[Measured]:
    """The method's lines about one rate, by seed; skips where it was not asked for."""
    if method not in METHODS:
        pytest.skip(f"BENCH_METHODS leaves {method} out")
    return [m for m in measured if (m.method, m.metric, m.slice) == (method, metric, slice_)]


def test_supervised_training_names_the_intent_of_wordings_never_seen(measured):
    for slice_ in ("target", "rest"):
        assert all(line.difference.low > 0 for line in of(measured, "sft", "intent", slice_))
