"""Govern from a notebook: how well redaction works on one's own texts, and forgetting in one call."""

from clworkbench.audit import forget as forgetting
from clworkbench.audit.asked import Asked, asked
from clworkbench.audit.plan import Plan, plan
from clworkbench.display.progress import Advance, silent
from clworkbench.loop.leaving import door
from clworkbench.policy.measured_own import OwnMeasure, measure_own
from clworkbench.workspace import Workspace
from clworkbench.workspace.catalog import now


def measure_redaction(workspace: Workspace, n: int = 2_000, *, seed: int = 0, advance: Advance = silent) -> OwnMeasure:
    """Plants invented personal values into texts of this workspace, and counts which are found.

    The texts are what users asked and models answered, and the tiers are those of `[policy]`. Nothing is written.

    Args:
        workspace: whose texts.
        n: how many texts are drawn.
        seed: for the draw and for what is planted.
        advance: progress of the second tier, in texts.

    Raises:
        EvidenceError: there is no text.
        SettingsError: Presidio is demanded and not installed.
    """
    signals = workspace.signals()
    texts = signals["text"].append(signals["answer"]).drop_nulls()
    return measure_own(texts, seed=seed, n=n, second=door(workspace).second, advance=advance)


def plan_forget(
    workspace: Workspace, *, user: str | None = None, interaction: str | None = None, where: str | None = None
) -> Plan:
    """What `forget` would do, before it does it.

    Args:
        workspace: where.
        user: all of a user: the name that the source reports, or its key.
        interaction: one interaction: our id, or the source's own.
        where: what this expression is true for.

    Raises:
        ForgetError: not exactly one of the three was named.
        ExpressionError: the expression cannot be read.
    """
    return plan(workspace, _asked(user, interaction, where))


def forget(
    workspace: Workspace, *, user: str | None = None, interaction: str | None = None, where: str | None = None
) -> forgetting.Forgotten | None:
    """Forgets rows: out of every table and file, and out of what was made of them, with a certificate.

    Arguments and errors as for `plan_forget`; None where there is nothing to forget. What `clw forget` does; all of a
    workspace, and what is too old, is forgotten there.

    Raises:
        LeaseError: somebody works in the workspace.
    """
    return forgetting.forget(workspace, _asked(user, interaction, where))


def _asked(user: str | None, interaction: str | None, where: str | None) -> Asked:
    return asked(now(), users=(user,) if user else (), interactions=(interaction,) if interaction else (), where=where)
