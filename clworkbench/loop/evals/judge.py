"""Judges of a workspace: each case is asked once, redacted, within the budget, and its grade is kept."""

import json
from collections.abc import Sequence

import polars as pl

from clworkbench.audit.budget import allow
from clworkbench.audit.limits import Standing, or_wait, standings
from clworkbench.display.progress import Advance, silent
from clworkbench.errors import BudgetError, EndpointError, SettingsError
from clworkbench.evals.judged import Verdict, graded
from clworkbench.loop.leaving import door
from clworkbench.models.endpoint import Endpoint
from clworkbench.schemas import MESSAGES
from clworkbench.scorers.judge import Case, Judge
from clworkbench.scorers.scorer import Graded, Scorer, nobody_can_say
from clworkbench.settings import JUDGE, JudgeSettings
from clworkbench.workspace import Workspace

NOT_EXPECTED = "no expected answer, which this judge is shown"


def judge_of(workspace: Workspace, name: str) -> Judge:
    """The judge that `[judges.NAME]` describes now.

    Raises:
        SettingsError: clw.toml has none of that name.
    """
    said = judge_settings(workspace, name)
    return Judge(
        model=workspace.settings.endpoints[said.endpoint].model,
        rubric=said.rubric.strip(),
        ratings=said.ratings,
        sees_expected=said.sees_expected,
        max_new_tokens=said.max_new_tokens,
        seed=said.seed,
    )


def judge_settings(workspace: Workspace, name: str) -> JudgeSettings:
    """What `[judges.NAME]` says.

    Raises:
        SettingsError: clw.toml has none of that name.
    """
    judges = workspace.settings.judges
    if name not in judges:
        there = f"There: {', '.join(judges)}." if judges else f"Declare it as [judges.{name[:80]}]."
        raise SettingsError(f"{workspace.folder / 'clw.toml'}: no judge {name[:80]!r}. {there}")
    return judges[name]


def judge_scorer(workspace: Workspace, name: str) -> Scorer:
    """The scorer `judge:NAME`: 0 to 1, an answer that is not there 0, and null where the judge gave no grade.

    Nobody can say what answer a judge gives full marks: gold answers are not graded. Whether it grades as people do is
    measured by `judge_agreement`.
    """
    judge = judge_of(workspace, name)

    def grade(outputs: pl.Series, expected: pl.Series, inputs: pl.Series | None) -> Graded:
        assert inputs is not None
        rows = pl.DataFrame({"input": inputs, "answer": outputs, "expected": expected}).with_row_index("row")
        wanted = rows.drop_nulls("answer")
        lacking = wanted.filter(pl.col("expected").is_null()) if judge.sees_expected else wanted.clear()
        wanted = wanted.join(lacking, on="row", how="anti", maintain_order="left")
        verdicts = ask(workspace, name, cleared_cases(workspace, wanted))
        scores: list[float | None] = [0.0] * rows.height
        errors: list[str | None] = [None] * rows.height
        for row in lacking["row"]:
            scores[row], errors[row] = None, NOT_EXPECTED
        for row, found in zip(wanted["row"], verdicts, strict=True):
            scores[row], errors[row] = None if found.grade is None else judge.score(found.grade), found.error
        return Graded(pl.Series("score", scores, dtype=pl.Float64), pl.Series("error", errors, dtype=pl.String))

    return Scorer(JUDGE + name, grade, nobody_can_say, lambda: judge.sha256, reads_input=True)


def cleared_cases(workspace: Workspace, rows: pl.DataFrame) -> list[Case]:
    """Cases with their texts as they may leave: as annotators would see them.

    Args:
        workspace: whose policy.
        rows: `input` (messages), `answer` and `expected` (texts, perhaps null).
    """
    texts = rows.select(pl.col("input").cast(MESSAGES), pl.col("answer", "expected").cast(pl.String))
    clear = door(workspace).clear(texts, ("input", "answer", "expected"))
    return [Case(messages or (), answer or "", expected) for messages, answer, expected in clear.iter_rows()]


def ask(workspace: Workspace, name: str, cases: Sequence[Case], advance: Advance = silent) -> list[Verdict]:
    """The judge's verdicts, in the order of the cases; a case that it graded before is not asked, or paid for, again.

    Each grade is kept as soon as it arrives, under a keyed hash of the judge and of all that it was shown, without
    texts: after a kill the same command goes on from there. A case without a grade is asked anew the next time.

    Raises:
        EndpointError: the judge's endpoint cannot be used.
        BudgetError: what may be spent on evaluation in this month is spent, or would be.
    """
    judge = judge_of(workspace, name)
    keys = [workspace.pseudonyms.id("judged", judge.sha256, json.dumps(judge.asks(case))) for case in cases]
    known = workspace.catalog.judged(list(dict.fromkeys(keys)))
    found = {key: Verdict(grade) for key, grade in known.items()}
    first = {key: case for key, case in zip(reversed(keys), reversed(cases), strict=True) if key not in known}
    if first:
        found |= _asked(workspace, name, judge, first, advance)
    return [found[key] for key in keys]


def _asked(
    workspace: Workspace, name: str, judge: Judge, cases: dict[str, Case], advance: Advance
) -> dict[str, Verdict]:
    allow(workspace, "eval")
    limit = _tightest(workspace)
    endpoint = Endpoint(workspace.settings.endpoints[judge_settings(workspace, name).endpoint])
    keys, found, bill = list(cases), dict[str, Verdict](), _Bill(workspace, JUDGE + name)
    replies = graded(
        endpoint, judge, list(cases.values()), limit_usd=None if limit is None else limit.left, paid=bill.paid
    )
    for place, verdict in replies:
        found[keys[place]] = verdict
        if verdict.grade is not None:
            workspace.catalog.note_judged(keys[place], verdict.grade)
        advance(len(found), len(keys), "")
    later = [verdict for verdict in found.values() if verdict.later]
    if not later:
        return found
    known = f"judge {name!r}: {len(later)} of {len(keys)} answers are not graded yet"
    broken = next((verdict for verdict in later if verdict.later == "unavailable"), None)
    if broken is None and limit is not None:
        raise BudgetError(
            f"{known}: the next grade might go above {limit.place} ({limit}).\n"
            f"Raise the limit in clw.toml{or_wait(limit)}; the same command then goes on from here."
        )
    why = (broken or later[0]).error
    raise EndpointError(f"{known}: {why}.\nWhat was graded is kept: the same command goes on from here.")


class _Bill:
    """What a judge's replies cost, in the ledger as soon as each arrives."""

    def __init__(self, workspace: Workspace, artefact: str) -> None:
        self._workspace, self._artefact = workspace, artefact
        self._entry: int | None = None
        self._usd = 0.0

    def paid(self, usd: float) -> None:
        """Books a reply."""
        if not usd:
            return
        self._usd += usd
        if self._entry is None:
            self._entry = self._workspace.catalog.spend("eval", self._artefact, 0.0, self._usd)
        else:
            self._workspace.catalog.spend_more(self._entry, 0.0, self._usd)


def _tightest(workspace: Workspace) -> Standing | None:
    """The limit in US dollars of which the least is left; None where there is none."""
    limits = [each for each in standings(workspace, "eval", workspace.settings.budget) if each.name == "usd"]
    return min(limits, key=lambda each: each.left, default=None)
