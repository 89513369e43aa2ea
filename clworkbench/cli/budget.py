"""`clw budget`: what was spent and is left."""

import click

from clworkbench.cli.verb import Answer, answers, workspace_option


@click.command()
@workspace_option
@answers
def budget(workspace: str) -> Answer:
    """Say what was spent and is left, by month and kind of work; the limits stand in [budget] of clw.toml."""
    from clworkbench.audit.budget import budget as account
    from clworkbench.workspace import Workspace

    found = account(Workspace(workspace))
    return found.as_dict(), found.lines()


VERBS = [budget]
