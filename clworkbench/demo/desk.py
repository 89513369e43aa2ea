"""The desk story: a simulated support desk, a real model, a policy that changes, and `clw cycle` on what follows."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from clworkbench import expressions
from clworkbench.demo.desk_labels import make_ready, review_in_argilla
from clworkbench.demo.desk_people import (
    ACTIONS,
    NEW_ACTION,
    POLICY_WEEK,
    START,
    TARGET,
    Message,
    Ticket,
    Week,
    answer,
    cast,
    expected,
    history,
    wordings,
    written,
)
from clworkbench.demo.desk_report import DeskTold, tell_desk
from clworkbench.demo.desk_rollout import send_out, serve_customers
from clworkbench.demo.desk_settings import ONE_SOURCE, OPEN_WHERE, ROLLOUT, SETTINGS, WHERE
from clworkbench.demo.desk_traces import events, messages, traces
from clworkbench.demo.page import write_page
from clworkbench.demo.story import Say, answers, first_champion, freeze, open_story, turn, write_lines
from clworkbench.files import write_atomically
from clworkbench.loop.evals import model
from clworkbench.loop.releases import ship
from clworkbench.loop.signals import capture
from clworkbench.workspace import Workspace


@dataclass(frozen=True)
class Scale:
    """How large the story is played: intents, wordings and examples of each, messages a week, steps of training.

    `served` is how many messages come in a week when `clw serve` answers them.
    """

    intents: int
    history: int
    target_history: int
    suite_rows: int
    messages: int
    champion_steps: int
    champion_rate: float
    steps: int
    rate: float
    batch_size: int = 8
    rank: int = 8
    replay: float = 0.85
    served: int = 800


DESK = Scale(12, 40, 28, 30, 150, 90, 1.5e-3, 80, 1e-3)
SMALL = Scale(4, 16, 8, 8, 40, 20, 2e-3, 10, 1e-3, served=60)


def play_desk(
    place: Path,
    *,
    scale: Scale = DESK,
    seed: int = 0,
    argilla: bool = True,
    rollout: bool = False,
    say: Say = print,
) -> DeskTold:
    """Plays the story into a workspace, or goes on where an earlier try was stopped.

    Args:
        place: the workspace, made when it is not there.
        scale: how large.
        seed: who writes what and when, what operators do, and which wordings the first champion learns from.
        argilla: labels come through the annotators' real server; else from a file.
        rollout: from week 4 on customers write to `clw serve`, and releases go out in stages.
        say: told what happens, line by line.

    Raises:
        ClwError: the folder holds another story, or the loop stopped before a gate.
    """
    rows = _limited(cast(wordings(), seed, history=scale.history, target_history=scale.target_history), scale)
    if argilla:
        make_ready(say)
    workspace = _workspace(place, scale, seed, rollout=rollout)
    say("Desk, customers and operators are simulated. The model, its answers, and all that becomes of them are real.")
    champion_run = _week_zero(workspace, rows, scale, seed, say)
    for number in range(1, POLICY_WEEK):
        _serve(workspace, rows, Week(number, scale.messages, 0.05, "pool"), seed, say)
    say(f"Week {POLICY_WEEK}. New policy: who wants to cancel is offered a pause ({NEW_ACTION}). Many more now ask.")
    _retire_old_answers(workspace)
    _serve(workspace, rows, Week(POLICY_WEEK, scale.messages, 0.35, "pool"), seed, say)
    _say_power(workspace, say)
    good = turn(workspace, 0, say, as_of=monday(POLICY_WEEK + 1), event_time=True)
    after = POLICY_WEEK + 1
    if rollout:
        _roll_out(workspace, rows, Week(after, scale.served, 0.35, "fresh"), monday(after), seed, say)
    else:
        _serve(workspace, rows, Week(after, scale.messages, 0.35, "fresh"), seed, say)
        _settle(workspace, after, seed, say)
    _spoil(workspace, monday(after + 1) + timedelta(days=1, hours=9), say, argilla=argilla)
    spoiled = turn(workspace, 1, say, as_of=monday(after + 1) + timedelta(days=2), event_time=True)
    if rollout:
        wednesday = monday(after + 1) + timedelta(days=2)
        assert spoiled.run is not None
        send_out(workspace, spoiled.run, wednesday, say)
        _roll_out(workspace, rows, Week(after + 1, scale.served, 0.35, "fresh"), wednesday, seed, say)
    until = monday(after + 1) + timedelta(days=1)
    told = tell_desk(workspace, champion_run, good, spoiled, target=TARGET, policy=monday(POLICY_WEEK), until=until)
    write_page(told)
    return told


def monday(week: int) -> datetime:
    """When a week begins."""
    return START + timedelta(weeks=week)


def _limited(rows: pl.DataFrame, scale: Scale) -> pl.DataFrame:
    """The wordings of so many intents, and so many of each that are held out."""
    held = pl.col("part") == "suite"
    chosen = rows.filter(pl.col("intent").is_in(list(ACTIONS)[: scale.intents]))
    place = pl.int_range(pl.len()).over("intent", "part")
    return chosen.filter(~held | (place < scale.suite_rows))


def _workspace(place: Path, scale: Scale, seed: int, *, rollout: bool = False) -> Workspace:
    settings = SETTINGS.format(
        target=TARGET,
        replay=scale.replay,
        steps=scale.steps,
        batch_size=scale.batch_size,
        rate=scale.rate,
        rank=scale.rank,
    )
    sizes = {name: value for name, value in asdict(scale).items() if rollout or name != "served"}
    story = {"story": "desk", "seed": seed, "scale": sizes, **({"rollout": True} if rollout else {})}
    return open_story(place, story, settings.replace(ONE_SOURCE, "") + ROLLOUT if rollout else settings)


def _roll_out(workspace: Workspace, rows: pl.DataFrame, week: Week, since: datetime, seed: int, say: Say) -> None:
    """A week through `clw serve`, and the two days until the last of it has settled."""
    asked = [message for message in written(rows, week, seed) if message.at >= since]
    say(f"Week {week.number}. {len(asked)} customers write to clw serve, {since:%a %d %b} on.")
    until = monday(week.number + 1) + timedelta(days=1)
    tickets = serve_customers(workspace, asked, since, until, seed=seed, say=say)
    by = Counter(each.served_by for each in tickets)
    say("  served   " + ", ".join(f"{n} tickets by {model}" for model, n in sorted(by.items())))


def _week_zero(workspace: Workspace, rows: pl.DataFrame, scale: Scale, seed: int, say: Say) -> str:
    """Operators have answered for a week; a first champion learns from them. Returns its run."""
    held = rows.filter(pl.col("part") == "suite")
    frozen = freeze(workspace, "wordings", [_example(row) for row in held.iter_rows(named=True)])
    tickets = history(rows, seed)
    say(
        f"Week 0. Operators answer {len(tickets):,} messages with {rows['intent'].n_unique()} intents. {frozen['id']}: "
        f"{frozen['examples']} other wordings, never to be learned, are the suite."
    )
    _hand_in(workspace, 0, tickets, seed)
    capture.ingest(workspace, [_inbox(workspace, "traces", 0)], "desk")
    capture.ingest(workspace, [_inbox(workspace, "events", 0)], "tickets", read_until=monday(1))
    return first_champion(workspace, steps=scale.champion_steps, rate=scale.champion_rate, say=say)


def _example(row: dict[str, object]) -> dict[str, object]:
    intent = str(row["intent"])
    return {
        "input": messages(str(row["text"])),
        "expected": expected(intent, new_policy=True),
        "slices": [intent],
    }


def _inbox(workspace: Workspace, kind: str, week: int) -> Path:
    return workspace.folder / "inbox" / f"{kind}-week-{week}.jsonl"


def _hand_in(workspace: Workspace, week: int, tickets: Sequence[Ticket], seed: int) -> None:
    """Writes a week's traces, and the events of that week: some are about tickets of the week before."""
    write_lines(_inbox(workspace, "traces", week), traces(tickets, seed))
    known = [*(_tickets(workspace, week - 1) if week > 1 else []), *tickets]
    write_lines(_inbox(workspace, "events", week), events(known, seed, monday(week), monday(week + 1)))


def _serve(workspace: Workspace, rows: pl.DataFrame, week: Week, seed: int, say: Say) -> None:
    """A week of the desk: customers write, the model that serves answers, operators and customers react."""
    store = _store(workspace, week.number)
    if not store.exists():
        name = model.champion(workspace)
        asked = written(rows, week, seed)
        said = answers(
            workspace,
            name,
            [messages(message.text) for message in asked],
            title=f"week {week.number}: the model answers",
            max_new_tokens=workspace.settings.evals.max_new_tokens,
        )
        store.parent.mkdir(exist_ok=True)
        write_lines(store, [_row(m, name, row) for m, row in zip(asked, said.iter_rows(named=True), strict=True)])
    tickets = _tickets(workspace, week.number)
    _hand_in(workspace, week.number, tickets, seed)
    say(_week_in_a_line(week, tickets, seed))


def _store(workspace: Workspace, week: int) -> Path:
    """Where the desk keeps its own tickets; the loop never looks there."""
    return workspace.folder / "simulation" / f"tickets-week-{week}.jsonl"


def _row(message: Message, served_by: str, said: dict[str, object]) -> dict[str, object]:
    return {
        **asdict(message),
        "at": message.at.isoformat(),
        "served_by": served_by,
        "answer": said["output"] or "",
        "confidence": said["confidence"],
        "n_input_tokens": said["n_input_tokens"],
        "n_output_tokens": said["n_output_tokens"],
    }


def _tickets(workspace: Workspace, week: int) -> list[Ticket]:
    tickets = []
    for line in _store(workspace, week).read_text().splitlines():
        row = json.loads(line)
        asked = {name: row.pop(name) for name in ("ticket", "week", "at", "customer", "intent", "text")}
        message = Message(**asked | {"at": datetime.fromisoformat(asked["at"])})
        tickets.append(Ticket(message, **row))
    return tickets


def _week_in_a_line(week: Week, tickets: Sequence[Ticket], seed: int) -> str:
    first, last = monday(week.number), monday(week.number + 2)
    happened = Counter(str(event["name"]) for event in events(tickets, seed, first, last))
    about = sum(ticket.message.intent == TARGET for ticket in tickets)
    counted = ", ".join(f"{happened[name]} {name}" for name in ("accepted", "edited", "overridden", "reopened"))
    return (
        f"Week {week.number}. {len(tickets)} tickets, {about} of them about {TARGET}, answered by "
        f"{tickets[0].served_by}: {counted}."
    )


def _retire_old_answers(workspace: Workspace) -> None:
    """What the analyst decides when the policy changes: the old answer is no longer to be learned."""
    file = workspace.folder / "clw.toml"
    text = file.read_text()
    if OPEN_WHERE in text:
        write_atomically(file, text.replace(OPEN_WHERE, WHERE))


def _say_power(workspace: Workspace, say: Say) -> None:
    required = ship.power(workspace).filter("required")
    shown = [
        f"{row['name']}: n = {row['n']}, met with probability 0.8 from a true difference of "
        f"{row['smallest_detectable']:+.3f}"
        for row in required.iter_rows(named=True)
    ]
    say("  power    " + "; ".join(shown))


def _settle(workspace: Workspace, week: int, seed: int, say: Say) -> None:
    """One day more, until the last of the week's tickets can no longer reopen in time."""
    start = monday(week + 1)
    until = start + timedelta(days=1)
    write_lines(_inbox(workspace, "events", week + 1), events(_tickets(workspace, week), seed, start, until))
    capture.ingest(workspace, [_inbox(workspace, "traces", week)], "desk")
    late = [_inbox(workspace, "events", number) for number in (week, week + 1)]
    capture.ingest(workspace, [file for file in late if file.exists()], "tickets", read_until=until)
    settled = workspace.signals(as_of=until, event_time=True)["outcome"].is_not_null().sum()
    say(f"  settle   read until {until:%Y-%m-%d %H:%M}: {settled:,} signals settled")


def _spoil(workspace: Workspace, at: datetime, say: Say, *, argilla: bool) -> None:
    """A reviewer's sheet whose column of actions slipped: each intent but the target gets its neighbour's."""
    slice_ = expressions.parse(workspace.settings.slices[TARGET], (found := _known(workspace, at)).columns)
    others = found.filter(~slice_).select("interaction_id", taught=pl.coalesce("improvement_text", "answer"))
    wrong = pl.col("taught").replace_strict(_slipped(), default=None, return_dtype=pl.String)
    sheet = others.select("interaction_id", improvement=wrong).drop_nulls()
    say(
        f"Week {POLICY_WEEK + 2}. A reviewer (simulated) goes through {sheet.height} answers with a sheet whose column "
        "of actions slipped by one row."
    )
    if argilla:
        review_in_argilla(workspace, dict(sheet.iter_rows()), at, say)
        return
    file = workspace.folder / "inbox" / "labels.csv"
    if not file.exists():
        dated = sheet.with_columns(annotator=pl.lit("the reviewer"), at=pl.lit(at.isoformat()))
        write_atomically(file, dated.write_csv())


def _known(workspace: Workspace, at: datetime) -> pl.DataFrame:
    return workspace.signals(as_of=at, event_time=True)


def _slipped() -> dict[str, str]:
    """From a right answer to the one that the spoiled sheet has in its place."""
    others = [intent for intent in ACTIONS if intent != TARGET]
    return {
        answer(intent, ACTIONS[intent]): answer(intent, ACTIONS[neighbour])
        for intent, neighbour in zip(others, [*others[1:], others[0]], strict=True)
    }
