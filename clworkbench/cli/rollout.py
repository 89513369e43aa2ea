"""`clw rollout`: how a release goes out in stages."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from clworkbench.cli.verb import Answer, InOrder, No, answers, workspace_option
from clworkbench.display.text import table

if TYPE_CHECKING:
    from clworkbench.loop.releases.rollout import RolloutStatus

ARMS = ("n_champion", "n_challenger", "champion", "challenger")
SHOWN = ("name", *ARMS, "difference", "low", "high", "allowed", "verdict")


@click.group(cls=InOrder)
def rollout() -> None:
    """See and move the stages in which a release goes out; `clw release RUN --staged` begins.

    In the shadow both models answer and the champion's answer is sent; then the challenger answers a growing share of
    new conversations. Outcomes of both arms are compared with bounds that hold however often one looks. A stage is
    passed when the challenger is shown not worse than its margin allows; a guardrail that is shown violated sends it
    back. `clw serve` looks by itself; behind another router, let a scheduler call `clw rollout look`.
    """


@rollout.command()
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write the picture too.")
@workspace_option
@answers
def status(html: Path | None, workspace: str) -> Answer:
    """Say where the rollout stands, what its traffic has shown, and how much is missing. Decides nothing."""
    from clworkbench.loop.releases.rollout import rollout as look
    from clworkbench.workspace import Workspace

    found = look(Workspace(workspace))
    lines = _told(found)
    if html is not None:
        found.plot().write_html(html, include_plotlyjs=True)
        lines.append(f"picture    {html}")
    return found.as_dict(), lines


@rollout.command()
@workspace_option
@answers
def look(workspace: str) -> Answer | No:
    """Look at the evidence and do what it says: stay, go on, close, or roll back (then exit status 1)."""
    from clworkbench.loop.releases.rollout import look as act
    from clworkbench.workspace import Workspace

    found = act(Workspace(workspace))
    answer = found.as_dict(), _told(found)
    assert found.decision is not None
    return No(answer) if found.decision.action == "roll back" else answer


@rollout.command()
@click.option("--why", required=True, help="The reason; it is kept with the release.")
@click.option("--force", is_flag=True, help="Also where a guardrail is violated.")
@workspace_option
@answers
def advance(why: str, force: bool, workspace: str) -> Answer:
    """Go on to the next stage without waiting for evidence, because a person says so."""
    from clworkbench.loop.releases.rollout import advance as act
    from clworkbench.workspace import Workspace

    found = act(Workspace(workspace), why, force=force)
    return found.as_dict(), _told(found)


@rollout.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--name", "group", default="clw", show_default=True, help="What applications call the model.")
@click.option("--url", default="http://127.0.0.1:8000/v1", show_default=True, help="Where LiteLLM finds vLLM.")
@workspace_option
@answers
def export(folder: Path, group: str, url: str, workspace: str) -> Answer:
    """Write the present stage into FOLDER: LiteLLM's settings with the weights, and the line that starts vLLM.

    Behind LiteLLM, `clw ingest` reads its log and `clw rollout look` decides; export again when a stage is passed.
    """
    from clworkbench.loop.releases.rollout_export import export as write
    from clworkbench.workspace import Workspace

    made = write(Workspace(workspace), folder, group=group, url=url)
    told = [f"{made.folder / 'litellm.yaml'}:", *made.litellm.splitlines(), f"{made.folder / 'vllm.sh'}:", made.vllm]
    return made.as_dict(), told


@rollout.command()
@click.argument("model")
@click.option("--slices", is_flag=True, help="By each slice of clw.toml too.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write the picture too.")
@workspace_option
@answers
def estimate(model: str, slices: bool, html: Path | None, workspace: str) -> Answer:
    """Estimate the rate of good outcomes had MODEL answered everything, from traffic shared out by chance."""
    from clworkbench.loop.releases.counterfactual import counterfactual
    from clworkbench.workspace import Workspace

    found = counterfactual(Workspace(workspace), model, slices=slices)
    lines = [repr(found), *table(found.frame.drop("says"))]
    lines += [
        f"{row['slice']}, {row['model']}: {row['says']}" for row in found.frame.iter_rows(named=True) if row["says"]
    ]
    if html is not None:
        found.plot().write_html(html, include_plotlyjs=True)
        lines.append(f"picture    {html}")
    return found.as_dict(), lines


def _told(found: "RolloutStatus") -> list[str]:
    from clworkbench.releases.rollout import moment

    ran, decision = found.rollout, found.decision
    weights = ", ".join(f"{model} {share:.0%}" for model, share in found.as_dict()["weights"].items())  # type: ignore[attr-defined]
    lines = [
        f"release    {ran.release} against {ran.champion}",
        f"stage      {ran.stage}, since {moment(ran.stage_began)}; the rollout began {moment(ran.began)}",
        f"weights    {weights}",
    ]
    if decision is None:
        return [*lines, f"ended      {found.says}"]
    lines.append(f"evidence   {decision.action}: {decision.because}")
    if decision.pending:
        lines.append(f"pending    {decision.pending:,} conversations are answered and not settled")
    if found.left_out:
        lines.append(f"left out   {found.left_out:,} answers of these models were no part of it: no stage chose them")
    lines += table(decision.frame.select(SHOWN))
    lines += [f"{name}: {says}" for name, says in decision.frame.select("name", "says").iter_rows() if says]
    return lines


VERBS = [rollout]
