"""`clw audit`: whether an artefact is what was made, and keeps every rule that it was made by."""

from pathlib import Path

import click

from clworkbench.cli.verb import Answer, No, answers, workspace_option


@click.command()
@click.argument("artefact", metavar="NAME[@VERSION]|RUN|RELEASE|CERTIFICATE")
@workspace_option
@answers
def audit(artefact: str, workspace: str) -> Answer | No:
    """Derive every rule of ARTEFACT again, and of what it rests on (exit status 1 where one fails).

    ARTEFACT is a training set, a suite, a run, a gate, a release, or a certificate of `clw forget` (its path or its
    number).
    """
    from clworkbench.audit.checks import audit as check
    from clworkbench.audit.checks import audit_certificate
    from clworkbench.workspace import Workspace

    path = Path(artefact)
    found = audit_certificate(path) if path.suffix == ".json" else check(Workspace(workspace), artefact)
    answer = found.as_dict(), found.lines()
    return answer if found.ok else No(answer)


VERBS = [audit]
