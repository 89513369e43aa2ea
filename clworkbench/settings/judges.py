"""Models that grade answers: `[judges.NAME]`, whose scorer is `judge:NAME`."""

import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Annotated

import msgspec

from clworkbench.errors import SettingsError

JUDGE = "judge:"
"""What stands before a judge's name in the name of its scorer."""


class JudgeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One judge: a rubric, and the endpoint whose model grades by it. It answers at temperature 0.

    Attributes:
        endpoint: one of `[endpoints]`.
        rubric: what is asked of an answer, and what makes a good one.
        ratings: it gives 1 to so many; pass or fail when None.
        sees_expected: whether it is shown the answer that was expected.
        max_new_tokens: where its reply is cut; the grade stands at the end.
        seed: sent along, for endpoints that have one.
        min_kappa: the least agreement with people, as the lower end of kappa's 95 % interval, with which its scores
            may gate a release. 0.4 is where "poor" ends and "fair to good" begins; a judge that passes all has 0.

    Source: Fleiss, Levin and Paik 2003, Statistical Methods for Rates and Proportions, 3rd ed., p. 604, for 0.40.
    """

    endpoint: str
    rubric: str
    ratings: Annotated[int, msgspec.Meta(ge=2, le=10)] | None = None
    sees_expected: bool = False
    max_new_tokens: Annotated[int, msgspec.Meta(ge=16, le=32_768)] = 512
    seed: int = 0
    min_kappa: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.4


def check_judges(
    judges: Mapping[str, JudgeSettings], place: str, *, endpoints: Collection[str], scorers: Collection[str]
) -> None:
    """Refuses judges that could not be asked, or would be asked nothing, and scorers that name none.

    Raises:
        SettingsError: with the judge, what it names, and what there is.
    """
    for name, judge in judges.items():
        here = f"{place}: [judges.{name[:80]}]"
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,80}", name):
            raise SettingsError(f"{here}: a judge's name holds letters, digits, - and _ only. Rename it.")
        if judge.endpoint not in endpoints:
            hint = _near(judge.endpoint, endpoints, "Declare it in [endpoints].")
            raise SettingsError(f"{here}: endpoint = {judge.endpoint!r} is not declared. {hint}")
        if not judge.rubric.strip():
            raise SettingsError(f"{here}: the rubric is empty. Say what is asked of an answer, and what a good one is.")
    for scorer in scorers:
        if scorer.startswith(JUDGE) and (name := scorer.removeprefix(JUDGE)) not in judges:
            hint = _near(name, judges, f"Declare it as [judges.{name[:80]}].")
            raise SettingsError(f"{place}: [evals] scorers: no judge {name!r}. {hint}")


def _near(name: str, known: Collection[str], otherwise: str) -> str:
    close = get_close_matches(name, known, n=1)
    return f"Did you mean {close[0]!r}?" if close else otherwise
