"""`clw judge`: models that grade answers, held against people."""

import click

from clworkbench.cli.verb import Answer, InOrder, No, answers, workspace_option
from clworkbench.display.text import short, visible


@click.group(cls=InOrder)
def judge() -> None:
    """Models that grade answers ([judges] of clw.toml): may their scores gate a release?"""


@judge.command()
@click.argument("name")
@click.option("--dry-run", is_flag=True, help="Ask nothing: say how many answers would be sent where, show the first.")
@workspace_option
@answers
def agree(name: str, dry_run: bool, workspace: str) -> Answer | No:
    """Let the judge NAME grade the answers that people have labelled, and say how far both agree (kappa, by slice).

    Texts leave for its endpoint redacted, as [policy] has it. What was graded before is not asked again. Its scores may
    gate where the lower end of kappa's 95 % interval is at least its min_kappa; exit status 1 where it is not.
    """
    from clworkbench.display.progress import progress_bar
    from clworkbench.loop.evals.judge_agreement import judge_agreement, preview
    from clworkbench.workspace import Workspace

    if dry_run:
        shown = preview(Workspace(workspace), name)
        lines = [f"{shown.answers:,} answers would be graded at {shown.url}"]
        lines += [f"{n:,} labelled answers left out: {why}" for why, n in shown.left_out.items()]
        lines += ["The first:", *(visible(f"[{each['role']}]\n{each['content']}") for each in shown.first)]
        return shown._asdict(), lines
    with progress_bar("judge") as advance:
        found = judge_agreement(Workspace(workspace), name, advance=advance)
    answer = found.as_dict(), [*map(visible, found.lines()), f"kept as {short(found.id)}"]
    return answer if found.may_gate else No(answer)


VERBS = [judge]
