"""`clw label push`, `undo` and `annotator`: asking people, taking it back, and who they are."""

import click

from clworkbench.cli.verb import Answer, answers, workspace_option
from clworkbench.display.text import short


@click.command()
@click.argument("name", metavar="[SET]", required=False)
@click.option("--n", type=click.IntRange(min=1), help="How many records; all that wait if not.")
@click.option("--id", "ids", multiple=True, metavar="ID", help="Ask about this signal, candidate or not. Repeatable.")
@click.option("--where", metavar="EXPR", help="Only candidates for which this SQL expression is true.")
@click.option("--dry-run", is_flag=True, help="Show what the first card would look like; needs no server.")
@workspace_option
@answers
def push(
    name: str | None, n: int | None, ids: tuple[str, ...], where: str | None, dry_run: bool, workspace: str
) -> Answer:
    """Put candidates before annotators as the question SET of clw.toml asks; each once.

    The candidates that this set has not asked about yet go to Argilla, redacted as [policy] has it, with the
    conversation, the answer or answers, and suggestions. The same push again adds nothing. `clw label undo` takes a
    push back.
    """
    from clworkbench.display.progress import progress_bar
    from clworkbench.loop.labels.ask import push as ask
    from clworkbench.workspace import Workspace

    with progress_bar("push") as advance:
        found = ask(Workspace(workspace), name, n=n, ids=ids or None, where=where, dry_run=dry_run, advance=advance)
    left_out = [f"{lost:>9,} left out: {why}" for why, lost in found.left_out.items()]
    if dry_run:
        lines = [f"{found.pushed:,} records would be pushed to {found.dataset}, {found.known:,} are known", *left_out]
        card = found.first
        shown = {} if card is None else {"fields": card.fields, "metadata": card.metadata}
        if card is not None:
            lines += ["The first card:", *_card_lines(card.fields, card.metadata)]
            lines += [f"  suggested {each.question}: {short(each.value)} ({each.agent})" for each in card.suggestions]
        return found.as_dict() | {"first": shown}, lines
    lines = [f"{found.pushed:,} records pushed to {found.dataset} for {found.team}, {found.known:,} known", *left_out]
    if found.batch_id:
        lines += [f"See them at {found.url}", f"To take them back: `clw label undo {found.batch_id}`"]
    return found.as_dict(), lines


def _card_lines(fields: object, metadata: object) -> list[str]:
    """What a card shows, a line for each message and text; escaped as it is sent."""
    assert isinstance(fields, dict)
    assert isinstance(metadata, dict)
    lines = []
    for name, value in fields.items():
        if isinstance(value, list):
            lines += [f"  {name}: {message['role']}: {short(message['content'])}" for message in value]
        else:
            lines.append(f"  {name}: {short(value)}")
    return [*lines, *(f"  {name} = {short(value)}" for name, value in metadata.items())]


@click.command()
@click.argument("batch")
@click.option("--answered", is_flag=True, help="Also those that somebody has answered, with their answers.")
@workspace_option
@answers
def undo(batch: str, answered: bool, workspace: str) -> Answer:
    """Take back the push BATCH: its records leave Argilla, but for those that somebody has answered.

    Labels that were pulled stay. The same `clw label push` asks anew. Best when nobody is answering: what is sent in
    the very moment in which its record is deleted goes with it.
    """
    from clworkbench.display.progress import progress_bar
    from clworkbench.loop.labels.asked import undo as take_back
    from clworkbench.workspace import Workspace

    with progress_bar("undo") as advance:
        found = take_back(Workspace(workspace), batch, answered=answered, advance=advance)
    lines = [f"{found.taken:,} records taken back from {found.dataset}"]
    if found.gone:
        lines.append(f"{found.gone:,} did not stand there any more")
    if found.answered:
        lines.append(f"{found.answered:,} stay, because somebody has answered them; --answered takes them as well")
    return found.as_dict(), lines


@click.command("annotator")
@click.argument("name")
@click.option("--team", help="The workspace of the annotators' server; the only one of clw.toml when left out.")
@workspace_option
@answers
def annotator(name: str, team: str | None, workspace: str) -> Answer:
    """Give NAME an account at the annotators' server, and a place in a team.

    The password of a new account stands in a file that only you can read. Who has an account keeps it.
    """
    from clworkbench.loop.labels.ask import add_annotator
    from clworkbench.workspace import Workspace

    found = add_annotator(Workspace(workspace), name, team)
    told = {name: value for name, value in vars(found).items() if name != "password"}
    if found.made:
        lines = [f"{found.name} may log in, and belongs to {found.team}", f"  password    in {found.password_file}"]
    else:
        lines = [f"{found.name} has an account already; {'now' if found.joined else 'and'} belongs to {found.team}"]
    return told, lines


COMMANDS = [annotator, push, undo]
