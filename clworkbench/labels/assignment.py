"""Who answers what: known answers mixed in unmarked, and the people of a team."""

import math
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from clworkbench.errors import LabelError
from clworkbench.labels.argilla import Argilla
from clworkbench.labels.latest import GOLD
from clworkbench.labels.questions import QUESTIONS
from clworkbench.labels.rest import Refused
from clworkbench.labels.server.held import held
from clworkbench.labels.server.home import Home, write_secret
from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.settings import QuestionSet

LOCKED_S = 60.0
"""How long to wait for another process that makes an account."""

_USERNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@+-]{0,79}")


@dataclass(frozen=True)
class Annotator:
    """An account at the annotators' server.

    Attributes:
        name: its username.
        team: the workspace it belongs to.
        made: whether it is new.
        joined: whether it is new in the team.
        password: what a new account logs in with.
        password_file: where that stands, for the owner alone; None where there is no place for it.
    """

    name: str
    team: str
    made: bool
    joined: bool
    password: str | None
    password_file: Path | None

    def __repr__(self) -> str:
        return f"Annotator({self.name} of {self.team}, {'new' if self.made else 'known'})"


def n_gold(asked: QuestionSet, n: int, n_candidates: int) -> int:
    """How many of at most `n` records shall have a known answer, so that they are the share `gold` of all."""
    if asked.gold >= 1:
        return n
    fits = math.floor(asked.gold * n + 0.5)
    beside = math.floor(n_candidates * asked.gold / (1 - asked.gold) + 0.5)
    return min(fits, beside)


def gold_signals(asked: QuestionSet, labels: pl.DataFrame) -> pl.Series:
    """The ids of the signals to which the set's own questions have a known answer.

    Args:
        asked: the question set.
        labels: the latest answer of each annotator.
    """
    known = labels.filter(
        pl.col("source") == GOLD,
        pl.col("status") == "submitted",
        pl.col("question").is_in([QUESTIONS[ask] for ask in asked.asks if ask != "comment"]),
    )
    return known["interaction_id"].unique().sort()


def mixed(
    asked: QuestionSet, candidates: pl.DataFrame, gold: pl.DataFrame, n: int, pseudonyms: Pseudonyms
) -> pl.DataFrame:
    """Candidates, and among them a keyed draw of signals whose answer is known; nothing tells one from the other.

    Args:
        asked: the question set.
        candidates: `interaction_id`, `candidate_id`, `reasons`, the most urgent first, and what else a card needs.
        gold: the same columns; those drawn take over the reasons of a candidate.
        n: how many rows at most.
        pseudonyms: draws.

    Returns:
        Rows with `gold`, known answers at keyed places between the others.
    """
    free = gold.join(candidates, on="interaction_id", how="anti", maintain_order="left")
    ids = [pseudonyms.id("gold", asked.name, own) for own in free["interaction_id"]]
    drawn = free.with_columns(drawn_by=pl.Series(ids, dtype=pl.String)).sort("drawn_by")
    drawn = drawn.head(min(n_gold(asked, n, candidates.height), n)).drop("drawn_by")
    some = candidates.head(n - drawn.height)
    if drawn.is_empty() or some.is_empty():
        return pl.concat([some.with_columns(gold=pl.lit(value=False)), drawn.with_columns(gold=pl.lit(value=True))])
    keys = [int(pseudonyms.id("place", asked.name, own)[:8], 16) for own in drawn["interaction_id"]]
    like = some["reasons"].gather([key % some.height for key in keys])
    places = pl.Series([(key % (some.height + 1)) - 0.5 for key in keys], dtype=pl.Float64)
    return (
        pl.concat(
            [
                some.with_columns(gold=pl.lit(value=False), place=pl.int_range(pl.len()).cast(pl.Float64)),
                drawn.with_columns(like.alias("reasons"), gold=pl.lit(value=True), place=places),
            ]
        )
        .sort("place", "interaction_id")
        .drop("place")
    )


def annotator(argilla: Argilla, name: str, team: str, passwords: Path) -> Annotator:
    """Gives somebody an account and a place in a team; one that has them already is told so.

    Args:
        argilla: a connection with an owner's key.
        name: the username.
        team: the workspace, made where it is missing.
        passwords: a folder for the new password, mode 0700; its file is written before the account is made, so that
            no account stands whose password nobody knows.

    Raises:
        LabelError: the name cannot be a username, or the key's owner may not make accounts.
    """
    if not _USERNAME.fullmatch(name):
        raise LabelError(
            f"{name!r} cannot be a username: letters, digits and . _ - + @ only, a letter or digit first, at most 80."
        )
    try:
        team_id = argilla.make_team(team)
        Home(passwords.parent).make_folder()
        with held(passwords.parent / "annotators.lock", wait_s=LOCKED_S):
            user_id, password, file = _account(argilla, name, passwords)
        joined = argilla.join(user_id, team_id)
    except Refused as error:
        if error.status != 403:
            raise
        raise LabelError(
            f"{argilla.url}: {argilla.username} ({argilla.role}) may not make accounts; only an owner may.\n"
            "Set ARGILLA_API_KEY to an owner's key."
        ) from None
    return Annotator(name, team, password is not None, joined, password, file)


def _account(argilla: Argilla, name: str, passwords: Path) -> tuple[str, str | None, Path | None]:
    """The id of an account; where it is new, its password, and the file that holds it."""
    if known := argilla.accounts().get(name):
        return known, None, None
    passwords.mkdir(exist_ok=True, mode=0o700)
    file, password = passwords / name, secrets.token_urlsafe(12)
    write_secret(file, password)
    try:
        return argilla.add_annotator(name, password), password, file
    except Refused as error:
        file.unlink()  # it opens nothing
        if error.status == 409 and (known := argilla.accounts().get(name)):  # made meanwhile, on another machine
            return known, None, None
        raise
