"""`clw` itself: the group of verbs, and how it ends."""

import os
import sys
from pathlib import Path

import click

from clworkbench.cli import (
    alert,
    audit,
    budget,
    data,
    drift,
    forget,
    judge,
    live,
    model,
    policy,
    records,
    replay,
    report,
    rollout,
    scores,
    serve,
    ship,
    should_train,
    slice,
    start,
)
from clworkbench.cli.verb import InOrder, in_words
from clworkbench.errors import ClwError
from clworkbench.files import told_when_full

LOOP = """\
Continuous learning of language models, driven by evidence.

\b
  signals → candidates → labels → training sets → runs → evals → releases ─┐
     ▲                                                                      │
     └──────────────── the released model's own traffic ────────────────────┘

Start with `clw init DIR`, then `clw status` says what to do next; `clw cycle` does all that needs no person.
`clw demo` shows the whole loop on data of its own. Every verb takes --workspace DIR and --json.
Exit status: 0 done, or yes; 1 the answer is no; 2 wrong usage or unusable input.
"""


@click.group(cls=InOrder, help=LOOP, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="clworkbench", prog_name="clw")
def clw() -> None:
    """The group; its help is `LOOP`."""


for verbs in (
    start,
    live,
    slice,
    drift,
    alert,
    should_train,
    data,
    model,
    replay,
    scores,
    judge,
    ship,
    rollout,
    serve,
    report,
    policy,
    forget,
    audit,
    budget,
    records,
):
    for verb in verbs.VERBS:
        clw.add_command(verb)


def main() -> None:
    """Runs `clw`: an error that the user can mend is a message and exit status 2, never a traceback."""
    try:
        with told_when_full("what this command makes", Path.cwd()):
            status = clw.main(standalone_mode=False)
    except click.exceptions.Exit as found:
        status = found.exit_code
    except click.ClickException as error:
        error.show()
        status = 2
    except ClwError as error:
        click.echo(in_words(error), err=True)
        status = 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    except OSError as error:
        click.echo(in_words(ClwError(f"{error}. Check that path, and your rights there.")), err=True)
        status = 2
    except (KeyboardInterrupt, click.Abort):
        click.echo("clw: stopped. Nothing half-done counts; the same command goes on from here.", err=True)
        status = 2
    sys.exit(status if isinstance(status, int) else 0)
