"""`clw record`, `reproduce` and `diff`: executed notebooks, kept, run again, and held against each other."""

from pathlib import Path

import click

from clworkbench.cli.verb import Answer, No, answers, workspace_option


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
    a manifest: settings, versions of all artefacts and packages, and the notebook's hash; and the clw.toml of the
    moment. `clw reproduce` runs it again.
    """
    from clworkbench.records.record import record as keep
    from clworkbench.workspace import Workspace

    kept = keep(Workspace(workspace), notebook, given=dict(given), texts=texts, out=out)
    lines = [f"Executed {notebook.name} in {kept.manifest['seconds']} s: {kept.folder}"]
    if kept.manifest["withheld"]:
        lines.append(f"{kept.manifest['withheld']} outputs quoted production and were left out; --texts keeps them.")
    return kept.as_dict(), lines


@click.command()
@click.argument("record", metavar="RECORD", type=click.Path(path_type=Path))
@workspace_option
@answers
def reproduce(record: Path, workspace: str) -> Answer | No:
    """Run RECORD, a folder that `clw record` wrote, again; exit status 1 when something came out otherwise.

    It runs in a fresh process, on a copy of the workspace as it stood when the record began, with the clw.toml of then:
    what the notebook made is made again, and the workspace is not touched. What cells show is compared, and the hashes
    of all artefacts; durations, random ids and widgets are not.
    """
    from clworkbench.records.reproduce import reproduce as run
    from clworkbench.workspace import Workspace

    found = run(Workspace(workspace), record)
    answer = found.as_dict(), found.lines()
    return answer if found.same else No(answer)


@click.command()
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@workspace_option
@answers
def diff(first: str, second: str, workspace: str) -> Answer:
    """Say what differs between A and B: settings, data, results, environment.

    Each is a record's folder, or an artefact's id (run:ID, training_set:NAME@VERSION, suite:NAME, gate:ID).
    """
    from clworkbench.records.diff import diff as hold
    from clworkbench.workspace import Workspace

    found = hold(Workspace(workspace), first, second)
    return found.as_dict(), found.lines()


VERBS = [record, reproduce, diff]
