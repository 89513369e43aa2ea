"""A judge held against people: it grades the answers that they labelled, and how far both agree is kept."""

import json
from typing import NamedTuple

import polars as pl

from clworkbench.audit.budget import metered
from clworkbench.display.progress import Advance, silent
from clworkbench.errors import EvidenceError
from clworkbench.evals.judge_agreement import GRADES, fewest, measured
from clworkbench.evals.judge_report import JudgeAgreement
from clworkbench.labels import conversation
from clworkbench.labels.coded import comparable
from clworkbench.loop.evals.judge import ask, cleared_cases, judge_of, judge_settings
from clworkbench.loop.labels.agreement import decided
from clworkbench.loop.slices.slices import slice_names
from clworkbench.loop.training_sets.convert import allowed
from clworkbench.schemas import ASKED, MESSAGES
from clworkbench.scorers.judge import Judge
from clworkbench.scorers.text import normalised
from clworkbench.settings import JUDGE
from clworkbench.training_sets.allowed import Descent, use
from clworkbench.training_sets.texts import conversation as spoken
from clworkbench.training_sets.texts import normalised as plainly
from clworkbench.workspace import Workspace
from clworkbench.workspace.artefacts import sha256_rows
from clworkbench.workspace.folder import stable_id

QUESTION = {True: "answer", False: "rating"}
"""What people were asked, by whether the judge says pass or fail: accepted or rejected, or rated."""

WAIT_S = 600.0
"""How long it waits for another process that asks the same judge, whose grades it then need not pay for."""

PEOPLE = {"interaction_id": pl.String, "person": pl.Int64, "batches": pl.List(pl.String), "key": pl.String}
"""One row for each labelled answer: the grade that people gave, the batches of their labels, and `GRADES.key`."""

UNSUGGESTED = "left as suggested: nobody can tell whether it was looked at"
NOT_ALLOWED = "kept out by the policy, or forgotten"
NO_EXPECTED = "no suite says what was expected, which this judge is shown"
SAME = "the answer is the expected one: this judge would see that"


class People(NamedTuple):
    """What people said: `PEOPLE`, and labelled answers that are left out, by the reason."""

    rows: pl.DataFrame
    left_out: dict[str, int]


class Preview(NamedTuple):
    """What a measurement would send, before anything is: how many answers, where to, and the first one's messages."""

    answers: int
    left_out: dict[str, int]
    url: str
    first: list[dict[str, object]]


def judge_agreement(workspace: Workspace, name: str, *, advance: Advance = silent) -> JudgeAgreement:
    """Lets a judge grade the answers that people have labelled, and measures how far both agree.

    People accepted or rejected an answer (for a judge that says pass or fail), or rated it. Their labels count as
    `clw label agreement` adjudicates them; those left as suggested do not. The judge sees an answer and what came
    before it, never a label. Texts leave for its endpoint as the policy lets annotators see them. What it graded before
    is not asked again, and grades are kept as they arrive.

    Args:
        workspace: where the labels are.
        name: one of `[judges]`.
        advance: told of each grade.

    Raises:
        SettingsError: clw.toml has no such judge.
        EvidenceError: there are too few labelled answers, or people gave all of them the same grade.
        EndpointError: the judge's endpoint cannot be used.
        BudgetError: what may be spent on evaluation in this month is spent, or would be.
    """
    judge, said = judge_of(workspace, name), judge_settings(workspace, name)
    shown, left_out, suites = _shown(workspace, judge)
    _refuse_few(name, judge, shown, left_out)
    own = f"{JUDGE}{name}"
    with workspace.lease(own, "judge agree", wait_s=WAIT_S), metered(workspace, "eval", own) as meter:
        verdicts = ask(workspace, name, cleared_cases(workspace, shown), meter.through(advance))
    both = shown.with_columns(judge=pl.Series([verdict.grade for verdict in verdicts], dtype=pl.Int64))
    rows = both.select(list(GRADES)).cast(GRADES).sort("key")
    found = measured(rows, judge.ratings)
    report = JudgeAgreement(
        judge=name,
        id=version(name, judge.sha256, rows),
        judge_sha256=judge.sha256,
        model=judge.model,
        ratings=judge.ratings,
        min_kappa=said.min_kappa,
        frame=found.frame,
        confusion=found.confusion,
        left_out=left_out,
        disagreements=_disagreements(both),
    )
    _keep(workspace, report, judge, rows, [*_batches(shown), *suites])
    return report


def preview(workspace: Workspace, name: str) -> Preview:
    """What `judge_agreement` would send; asks nothing. Arguments and errors as there."""
    judge, said = judge_of(workspace, name), judge_settings(workspace, name)
    shown, left_out, _ = _shown(workspace, judge)
    _refuse_few(name, judge, shown, left_out)
    (case,) = cleared_cases(workspace, shown.head(1))
    url = workspace.settings.endpoints[said.endpoint].address
    return Preview(shown.height, left_out, url, judge.asks(case))


def version(name: str, judge_sha256: str, grades: pl.DataFrame) -> str:
    """The id of an agreement: the same judge and the same grades make the same version."""
    return f"{JUDGE}{name}@{stable_id(judge_sha256, sha256_rows(grades))[:12]}"


def _disagreements(both: pl.DataFrame) -> pl.DataFrame:
    apart = (pl.col("judge") - pl.col("person")).abs()
    differ = both.filter(apart > 0).sort(apart, "interaction_id", descending=[True, False])
    return differ.select("interaction_id", "person", "judge")


def graded_by_people(workspace: Workspace, judge: Judge) -> People:
    """The grade that people gave each answer, on the judge's scale, where they do not contradict each other."""
    question = QUESTION[judge.ratings is None]
    labels = decided(workspace).labels.filter(status="submitted", question=question)
    untouched = pl.col("equals_suggestion").fill_null(value=False)
    seen = labels.filter(~untouched)
    said = comparable(seen.with_columns(set=pl.col("source")), pl.DataFrame(schema=ASKED))
    word = pl.col("said")
    if judge.ratings is None:
        grade = word.replace_strict({"accept": 1, "reject": 0}, default=None, return_dtype=pl.Int64)
    else:
        number = word.cast(pl.Float64, strict=False)
        right = (number == number.round()) & number.is_between(1, judge.ratings)
        grade = pl.when(right).then(number).cast(pl.Int64)
    rows = (
        said.with_columns(person=grade)
        .group_by("interaction_id")
        .agg(pl.col("person").first(), one=pl.col("said").n_unique() == 1, batches=pl.col("batch_id").unique().sort())
        .sort("interaction_id")
    )
    outside = rows.filter(pl.col("person").is_null()).height
    rows = rows.filter(pl.col("one"), pl.col("person").is_not_null()).drop("one")
    ids = [workspace.pseudonyms.id("judged", own, str(grade)) for own, grade in rows.select(list(PEOPLE)[:2]).rows()]
    kept = rows.with_columns(key=pl.Series(ids, dtype=pl.String)).select(list(PEOPLE))
    alone = labels.join(kept, on="interaction_id", how="anti").filter(untouched)["interaction_id"].n_unique()
    return People(kept, {UNSUGGESTED: alone, f"not a grade of 1 to {judge.ratings}": outside})


def _shown(workspace: Workspace, judge: Judge) -> tuple[pl.DataFrame, dict[str, int], list[str]]:
    """What the judge is shown: `PEOPLE` with `input`, `answer`, `expected` and `slices`; what is left out, and why."""
    people = graded_by_people(workspace, judge)
    found = Descent(workspace.signals().join(people.rows, on="interaction_id", how="semi"))
    use(found, allowed(workspace, as_of=None, event_time=False), workspace.pseudonyms)
    signals = workspace.without_forgotten("asked", found.rows)[0]
    texts = [conversation.answer(output) for output in signals["output"].to_list()]
    about = signals.select("interaction_id", pl.col("input").cast(MESSAGES)).with_columns(
        answer=pl.Series(texts, dtype=pl.String), slices=slice_names(workspace, signals)
    )
    way = Descent(people.rows.join(about, on="interaction_id", how="left", maintain_order="left"))
    way.keep(pl.col("answer").is_not_null(), NOT_ALLOWED)
    suites: list[str] = []
    if judge.sees_expected:
        expected, suites = _expected(workspace)
        by_signal = expected.drop_nulls("interaction_id").unique("interaction_id", keep="first")
        by_text = expected.select("said", by_text="expected").unique("said", keep="first")
        rows = way.rows.with_columns(said=plainly(spoken(pl.col("input"))))
        rows = rows.join(by_signal.drop("said"), on="interaction_id", how="left", maintain_order="left")
        rows = rows.join(by_text, on="said", how="left", maintain_order="left")
        way.rows = rows.with_columns(expected=pl.coalesce("expected", "by_text"))
        way.keep(pl.col("expected").is_not_null(), NO_EXPECTED)
        same = normalised(way.rows["answer"]) == normalised(way.rows["expected"])
        way.keep(~same.fill_null(value=False), SAME)
    else:
        way.rows = way.rows.with_columns(expected=pl.lit(None, pl.String))
    left_out = people.left_out | way.dropped
    return way.rows, {why: n for why, n in left_out.items() if n}, suites


def _expected(workspace: Workspace) -> tuple[pl.DataFrame, list[str]]:
    """What suites expect: `interaction_id` (null where it came from none), `said` (what was asked), `expected`."""
    ids = {str(manifest["id"]) for manifest in workspace.catalog.artefacts("suite")}
    newest = sorted({str(workspace.find("suite", each.partition("@")[0])["id"]) for each in ids})
    empty = pl.DataFrame(schema={"interaction_id": pl.String, "said": pl.String, "expected": pl.String})
    parts = [
        workspace.rows(each)
        .drop_nulls("expected")
        .with_columns(said=plainly(spoken(pl.col("input"))))
        .explode("signal_ids", empty_as_null=True)
        .select(interaction_id="signal_ids", said="said", expected="expected")
        for each in newest
    ]
    return pl.concat([empty, *parts]), newest


def _refuse_few(name: str, judge: Judge, shown: pl.DataFrame, left_out: dict[str, int]) -> None:
    """Refuses before anything is sent, or paid for, what could show nothing."""
    question = QUESTION[judge.ratings is None]
    asks = "accept" if judge.ratings is None else "rate"
    lost = "".join(f"\n{n} more are left out: {why}." for why, n in left_out.items())
    if shown.height < fewest(judge.ratings):
        raise EvidenceError(
            f"judge {name!r}: {shown.height} answers with a label that counts ({question!r}), and at least "
            f"{fewest(judge.ratings)} are wanted.{lost}\nHave more labelled: `clw select`, then `clw label push` with "
            f"asks = [{asks!r}], or a sheet of reviewers."
        )
    if shown["person"].n_unique() == 1:
        raise EvidenceError(
            f"judge {name!r}: people gave all {shown.height} answers the same grade, so nothing shows that the judge "
            f"can tell good from bad.{lost}\nHave answers of both kinds labelled, e.g. with quotas of [candidates]."
        )


def _batches(shown: pl.DataFrame) -> list[str]:
    return [f"labels:{batch}" for batch in shown["batches"].explode().drop_nulls().unique().sort()]


def _keep(workspace: Workspace, report: JudgeAgreement, judge: Judge, rows: pl.DataFrame, parents: list[str]) -> None:
    about = {
        name: value for name, value in report.as_dict().items() if name not in ("id", "may_gate", "why", "doubtful")
    }
    about |= {"ratings": judge.ratings, "rubric": judge.rubric, "sees_expected": judge.sees_expected}
    workspace.publish(
        report.id,
        parents=parents,
        config={"judge_sha256": judge.sha256},
        rows_sha256=sha256_rows(rows),
        about=about,
        files={"grades.jsonl": "".join(json.dumps(row) + "\n" for row in rows.iter_rows(named=True))},
    )
