"""Who answers: the rollout's arm of a conversation, which keeps the one that it began with."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import polars as pl

from clworkbench.loop.evals.model import champion
from clworkbench.loop.releases.rollout import shares
from clworkbench.models.chat import Message
from clworkbench.releases.rollout import SHADOW
from clworkbench.releases.routing import arm_of, normal
from clworkbench.releases.traffic import SHADOW_OPERATION, fact
from clworkbench.workspace import Workspace
from clworkbench.workspace.rollouts import Rollout, current_rollout

REMEMBERED = 200_000
"""Conversations whose arm is kept in memory; of one longer ago it is drawn again, with the weights of then."""


@dataclass(frozen=True)
class Drawn:
    """Who answers a conversation.

    Attributes:
        model: its name.
        arm: `champion` or `challenger`; None where no rollout drew it.
        stage: of the rollout, when it was drawn.
        chance: of the challenger, then.
        rollout: the release that goes out.
    """

    model: str
    arm: str | None = None
    stage: str | None = None
    chance: float | None = None
    rollout: str | None = None

    @property
    def propensity(self) -> float | None:
        """The probability with which this model was chosen; None where nothing was drawn."""
        if self.chance is None or self.arm is None:
            return None
        return self.chance if self.arm == "challenger" else 1 - self.chance


class Router:
    """Draws arms by the state of the rollout, which it is told.

    Args:
        champion: the model that serves while no rollout goes on.
        rollout: the one that goes on.
    """

    def __init__(self, champion: str, rollout: Rollout | None) -> None:
        self._known: OrderedDict[str, Drawn] = OrderedDict()
        self.champion, self.rollout = champion, rollout

    @property
    def models(self) -> list[str]:
        """The models that may have to answer."""
        return [self.champion, *([self.rollout.release] if self.rollout else [])]

    @property
    def shadow(self) -> str | None:
        """The model whose answers are kept and not sent."""
        return self.rollout.release if self.rollout and self.rollout.stage == SHADOW else None

    def follow(self, champion: str, rollout: Rollout | None) -> None:
        """Takes a new state over; when another rollout begins, or one ends, all are drawn anew."""
        same = (
            rollout and self.rollout and (rollout.release, rollout.began) == (self.rollout.release, self.rollout.began)
        )
        if not same:
            self._known.clear()
        self.champion, self.rollout = champion, rollout

    def remember(self, conversation: str, drawn: Drawn) -> None:
        """Keeps what a conversation began with."""
        self._known[conversation] = drawn
        self._known.move_to_end(conversation)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def draw(self, conversation: str) -> Drawn:
        """Who answers a conversation."""
        if self.rollout is None:
            return Drawn(self.champion)
        if (kept := self._known.get(conversation)) and kept.model in self.models and kept.stage != SHADOW:
            self._known.move_to_end(conversation)
            return kept
        drawn = self._drawn(conversation, self.rollout)
        self.remember(conversation, drawn)
        return drawn

    def _drawn(self, conversation: str, rollout: Rollout) -> Drawn:
        if rollout.stage == SHADOW:
            return Drawn(self.champion, "champion", SHADOW, None, rollout.release)
        weights = shares(rollout)
        model = arm_of(conversation, weights, rollout.salt)
        arm = "challenger" if model == rollout.release else "champion"
        return Drawn(model, arm, rollout.stage, normal(weights)[rollout.release], rollout.release)


def recalled(workspace: Workspace, rollout: Rollout) -> dict[str, Drawn]:
    """What the conversations of a rollout began with, as the tables tell it: a restart moves nobody to another arm."""
    facts = {name: fact(f"clw.{name}") for name in ("arm", "stage")}
    chance = fact("clw.challenger_chance").cast(pl.Float64, strict=False)
    rows = (
        workspace.scan("interactions")
        .filter(fact("clw.rollout") == rollout.release, pl.col("started_at") >= rollout.began)
        .filter(pl.col("operation") != SHADOW_OPERATION, pl.col("conversation_id").is_not_null())
        .select("conversation_id", "release_id", "started_at", **facts, chance=chance)
        .filter(pl.col("arm").is_not_null(), pl.col("stage") != SHADOW)
        .sort("started_at")
        .unique("conversation_id", keep="first", maintain_order=True)
        .tail(REMEMBERED)
        .select("conversation_id", "release_id", "arm", "stage", "chance")
        .collect()
    )
    return {
        conversation: Drawn(model, arm, stage, chance_, rollout.release)
        for conversation, model, arm, stage, chance_ in rows.iter_rows()
    }


def state(workspace: Workspace) -> tuple[str, Rollout | None]:
    """Which model serves, and the rollout that goes on; one short read each."""
    return champion(workspace), current_rollout(workspace.catalog)


def conversation_of(named: Sequence[str | None], user: str | None, messages: Sequence[Message]) -> str:
    """Which conversation a request belongs to.

    Args:
        named: what the request says of it, the first that says anything counts.
        user: who asks, as the request says.
        messages: a chat sends all that was said before, so its first messages up to the user's first tell which it
            is. Two that begin alike, of the same user or of nobody, are one: they share an arm, and count once.
    """
    if said := next((name for name in named if name), None):
        return said
    first = next((place for place, each in enumerate(messages) if each["role"] == "user"), len(messages) - 1)
    digest = blake2b(repr(user).encode("utf-8", "surrogatepass"), digest_size=16)
    for each in messages[: first + 1]:
        digest.update(f"\x1f{each['role']}\x1f{each.get('content')}".encode("utf-8", "surrogatepass"))
    return f"begins-{digest.hexdigest()}"
