"""`clw capture`: what applications send, live."""

from dataclasses import asdict

import click

from clworkbench.cli.verb import Answer, answers, say, workspace_option
from clworkbench.errors import ClwError

HELP = """\
Take traces, log records and feedback as they happen, until Ctrl-C.

\b
POST /v1/traces, /v1/logs    OTLP over HTTP, protobuf or JSON, gzip or plain:
                             export OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318
POST /v1/feedback            {"target": "<trace id>:<span id>", "name": "thumbs", "score": 1}
                             with the header Authorization: Bearer TOKEN

What is acknowledged is on the disk, and a killed capture loses none of it; every few seconds it is read into the
tables, as `clw ingest` reads files. Senders are told to come again (429) while more than --spool-mb waits.
"""


@click.command(help=HELP)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=4318, show_default=True, help="0 takes any that is free."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Beyond localhost, every sender needs the token.")
@click.option("--allow-host", "names", multiple=True, metavar="NAME", help="Answer to this host name too.")
@click.option("--source", default="otlp", show_default=True, help="The source that spans and log records are read as.")
@click.option("--every", type=click.FloatRange(min=0.1), default=5, show_default=True, help="Seconds between ingests.")
@click.option(
    "--spool-mb",
    type=click.IntRange(min=1),
    default=1024,
    show_default=True,
    help="What may wait to be ingested, or be kept as unread.",
)
@workspace_option
@answers
def capture(
    port: int, host: str, names: tuple[str, ...], source: str, every: float, spool_mb: int, workspace: str
) -> Answer:
    """Runs the server; its help is `HELP`."""
    try:
        from clworkbench.serving.capture import Address
        from clworkbench.serving.capture import capture as serve
    except ModuleNotFoundError as error:
        raise ClwError(
            f"`clw capture` needs {error.name}, which is not installed: pip install 'clworkbench[capture]'."
        ) from error
    from clworkbench.workspace import Workspace

    found = serve(
        Workspace(workspace),
        Address(port, host, names),
        source=source,
        spool_bytes=spool_mb << 20,
        every_s=every,
        say=say,
    )
    took, became = found.acknowledged, found.ingested
    lines = [
        f"acknowledged {took['spans']:,} spans, {took['log_records']:,} log records and {took['events']:,} events"
        f" in {took['requests']:,} requests; {found.rejected:,} records rejected, {found.refused:,} requests refused",
        f"ingested {became['records']:,} records = {became['new']:,} new + {became['known']:,} known"
        f" + {became['skipped']:,} skipped + {became['quarantined']:,} quarantined",
    ]
    if found.waiting:
        lines.append(f"{found.waiting:,} logs wait in spool/: the next `clw capture` reads them first")
    return asdict(found), lines


VERBS = [capture]
