"""The audit of a judge's agreement with people: the grades that were kept give the numbers in its manifest."""

import msgspec
import polars as pl
import polars.selectors as cs

from clworkbench.audit.check import Check, failed, passed
from clworkbench.audit.whole import RESTORE, some, whole_as
from clworkbench.evals.judge_agreement import GRADES, measured
from clworkbench.workspace import Workspace
from clworkbench.workspace.artefacts import sha256_rows
from clworkbench.workspace.folder import stable_id

NUMBERS = cs.float().round(9)
"""Digits beyond are those of the machine."""


class AgreementManifest(msgspec.Struct, frozen=True):
    """What an agreement's manifest says beside what every manifest does."""

    id: str
    rows_sha256: str
    judge: str
    judge_sha256: str
    slices: list[dict[str, object]]
    confusion: list[dict[str, object]]
    ratings: int | None


def judge(workspace: Workspace, artefact_id: str) -> list[Check]:
    """The checks of an agreement."""
    checks, said = whole_as(workspace, artefact_id, AgreementManifest)
    if said is None:
        return checks
    path = workspace.artefact_folder(artefact_id) / "grades.jsonl"
    try:
        grades = pl.read_ndjson(path, schema=GRADES)
    except (pl.exceptions.PolarsError, OSError) as error:
        return [*checks, failed("agreement", 1, f"{path} cannot be read ({error}). {RESTORE}.")]
    made = f"judge:{said.judge}@{stable_id(said.judge_sha256, sha256_rows(grades))[:12]}"
    if made != said.id or sha256_rows(grades) != said.rows_sha256:
        return [*checks, failed("version", 1, f"its name is not made of the judge and the grades. {RESTORE}.")]
    again = measured(grades, said.ratings)
    rows = pl.DataFrame(said.slices, schema=again.frame.schema)
    same = rows.with_columns(NUMBERS).equals(again.frame.with_columns(NUMBERS))
    differs = [] if same else ["agreement"]
    differs += [] if said.confusion == again.confusion.to_dicts() else ["confusion"]
    if differs:
        return [*checks, failed("agreement", len(differs), f"the grades give another {some(differs)}. {RESTORE}.")]
    return [*checks, passed("agreement", grades.height, "is what the grades of people and judge give")]
