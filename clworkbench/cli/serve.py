"""`clw serve`: an OpenAI-compatible endpoint that closes the loop."""

from dataclasses import asdict

import click

from clworkbench.cli.verb import Answer, answers, say, workspace_option
from clworkbench.errors import ClwError

HELP = """\
Serve the champion, and a rollout's challenger beside it, to OpenAI's clients, until Ctrl-C.

\b
POST /v1/chat/completions    as OpenAI's; stream too. Send a conversation's id, and it keeps its model:
                             X-Conversation-Id, or metadata {"conversation_id": ...}
POST /v1/feedback            {"target": "<the answer's id>", "name": "thumbs", "score": 1}
                             with the header Authorization: Bearer TOKEN
GET  /v1/models, /health

\b
    client = OpenAI(base_url="http://127.0.0.1:8000/v1", api_key="any")
    client.chat.completions.create(model="clw", messages=[...])

Both models are adapters on one base, and requests are answered in one batch. Answers are signals: with release,
propensity and confidence they are on the disk before the client hears the end. Each second the rollout's state is
read, so `clw rollback` takes effect while requests run. Every --look-every seconds its evidence is looked at: stages
are passed, and guardrails roll back, without anybody's doing.
"""


@click.command(help=HELP)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes any that is free."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Beyond localhost, every request needs the token.")
@click.option("--allow-host", "names", multiple=True, metavar="NAME", help="Answer to this host name too.")
@click.option("--model-name", default="clw", show_default=True, help="The name under which the rollout shares out.")
@click.option("--batch", type=click.IntRange(min=1), default=32, show_default=True, help="Requests answered together.")
@click.option("--waiting", type=click.IntRange(min=0), default=512, show_default=True, help="Requests that may wait.")
@click.option("--every", type=click.FloatRange(min=0.1), default=5, show_default=True, help="Seconds between ingests.")
@click.option(
    "--spool-mb", type=click.IntRange(min=1), default=1024, show_default=True, help="What may wait to be ingested."
)
@click.option(
    "--look-every",
    type=click.FloatRange(min=0),
    default=300,
    show_default=True,
    help="Seconds between looks at the rollout; 0 for none.",
)
@click.option("--simulated-time", is_flag=True, hidden=True, help="Believe X-Clw-Time, for simulations.")
@workspace_option
@answers
def serve(
    port: int,
    host: str,
    names: tuple[str, ...],
    model_name: str,
    batch: int,
    waiting: int,
    every: float,
    spool_mb: int,
    look_every: float,
    simulated_time: bool,
    workspace: str,
) -> Answer:
    """Runs the server; its help is `HELP`."""
    try:
        from clworkbench.serving.capture import Address
        from clworkbench.serving.serve import ServeOptions
        from clworkbench.serving.serve import serve as run
    except ModuleNotFoundError as error:
        raise ClwError(
            f"`clw serve` needs {error.name}, which is not installed: pip install 'clworkbench[capture]'."
        ) from error
    from clworkbench.workspace import Workspace

    options = ServeOptions(model_name, batch, waiting, every, look_every or None, spool_mb << 20, simulated_time)
    found = run(Workspace(workspace), Address(port, host, names), options, say=say)
    did, became = found.counts, found.ingested
    lines = [
        f"answered {did['answers']:,} requests; {did['cancelled']:,} clients went away, {did['failed']:,} failed,"
        f" {did['refused']:,} refused; {did['events']:,} events of feedback",
        f"ingested {became['records']:,} records = {became['new']:,} new + {became['known']:,} known"
        f" + {became['skipped']:,} skipped + {became['quarantined']:,} quarantined",
    ]
    if found.waiting:
        lines.append(f"{found.waiting:,} logs wait in spool/serve: the next `clw serve` reads them first")
    return asdict(found), lines


VERBS = [serve]
