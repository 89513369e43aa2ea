"""`clw record`: a notebook that was executed, kept with all that is needed to run it again."""

from pathlib import Path

import click

from clworkbench.cli.verb import Answer, answers, workspace_option


class Assignment(click.ParamType[tuple[str, str]]):
    """`NAME=VALUE`."""

    name = "NAME=VALUE"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Splits the text, or fails in words."""
        if isinstance(value, tuple):
            return value
        name, equals, text = str(value).partition("=")
        if not equals or not name.isidentifier():
            self.fail(f"{value!r} is no NAME=VALUE. Write it like SEED=1.", param, ctx)
        return name, text


@click.command()
@click.argument("notebook", type=click.Path(path_type=Path))
@click.option("--set", "given", type=Assignment(), multiple=True, help="Another value for one of its settings.")
@click.option("--out", type=click.Path(path_type=Path), help="Where the record goes; records/ in the workspace.")
@click.option("--texts", is_flag=True, help="Keep what customers and models wrote; left out otherwise.")
@workspace_option
@answers
def record(notebook: Path, given: tuple[tuple[str, str], ...], out: Path | None, texts: bool, workspace: str) -> Answer:
    """Execute NOTEBOOK (.py or .ipynb) on the workspace and keep what it showed.

    Writes records/<name>-<time>/ with the executed notebook, the same as a page of HTML that needs nothing else, and
    a manifest: settings, versions of all artefacts and packages, and the notebook's hash.
    """
    from clworkbench.records.record import record as keep
    from clworkbench.workspace import Workspace

    kept = keep(Workspace(workspace), notebook, given=dict(given), texts=texts, out=out)
    lines = [f"Executed {notebook.name} in {kept.manifest['seconds']} s: {kept.folder}"]
    if kept.manifest["withheld"]:
        lines.append(f"{kept.manifest['withheld']} outputs quoted production and were left out; --texts keeps them.")
    return kept.as_dict(), lines


VERBS = [record]
