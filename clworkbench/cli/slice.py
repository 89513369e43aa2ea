"""`clw slice`: rates of slices, where the model does worst, and the slices that clw.toml names."""

from typing import Literal

import click

from clworkbench.cli.verb import Answer, InOrder, answers, known_at, workspace_option
from clworkbench.display.text import short

PERIODS = ("hour", "day", "week", "month")


@click.group(name="slice", cls=InOrder)
def slice_group() -> None:
    """Rates by slice, the slices in which the model does worst, and those that clw.toml names."""


@slice_group.command()
@click.option("--by", metavar="A,B,C", default="", help="Up to three columns, or attributes: app,attributes.tenant.id.")
@click.option("--every", type=click.Choice(PERIODS), help="Also by time, in UTC.")
@click.option("--slice", "slice_", metavar="NAME", help="Only one of [slices].")
@click.option("--event", metavar="EXPR", default="outcome", show_default=True, help="What is counted.")
@known_at
@workspace_option
@answers
def rates(
    by: str, every: Literal["hour", "day", "week", "month"] | None, slice_: str | None, event: str, workspace: str,
    **known: object,
) -> Answer:  # fmt: skip
    """Rates of good outcomes with n and 95 % intervals; of the slices of clw.toml when no column is named."""
    from clworkbench.loop.slices.slices import slices
    from clworkbench.workspace import Workspace

    names = [name.strip() for name in by.split(",") if name.strip()]
    found = slices(Workspace(workspace), names, every=every, slice=slice_, event=event, **known)  # type: ignore[arg-type]
    return {
        "by": list(found.by),
        "rates": found.frame.to_dicts(),
        "why": found.why,
        "notes": found.notes,
    }, found.lines()


@slice_group.command()
@click.option("--target", metavar="COLUMN", default="outcome", show_default=True, help="A Boolean, or a score.")
@click.option("--by", metavar="A,B", default="", help="Columns that slices are made of; those known before an outcome.")
@click.option("--slice", "slice_", metavar="NAME", help="Only within one of [slices].")
@click.option("--worst", type=click.Choice(["low", "high"]), default="low", show_default=True, help="Which end is bad.")
@click.option("--support", default=0.01, show_default=True, help="The least share of settled signals in a slice.")
@click.option(
    "--topics", is_flag=True, help="Also by clusters of what was said; takes a minute for thousands of texts."
)
@known_at
@workspace_option
@answers
def find(
    target: str, by: str, slice_: str | None, worst: Literal["low", "high"], support: float, workspace: str,
    *, topics: bool, **known: object,
) -> Answer:  # fmt: skip
    """Find where the model does worst: searched on half of the conversations, tested on the other."""
    from clworkbench.loop.slices.slices import discover
    from clworkbench.workspace import Workspace

    names = [name.strip() for name in by.split(",") if name.strip()] or None
    found = discover(
        Workspace(workspace), target, by=names, slice=slice_, worst=worst, support=support,
        topics=topics, **known,  # type: ignore[arg-type]
    )  # fmt: skip
    lines = found.lines()
    if any("topic = " in one.code() for one in found.slices):
        lines.append("No expression can select a topic: --by text finds words that can.")
    elif found.slices:
        lines.append("Keep one: clw slice save NAME 'EXPRESSION'")
    return {
        "slices": found.frame.to_dicts(),
        **found.counts,
        "skipped": found.skipped,
        "why": found.why,
        "notes": found.notes,
    }, lines


@slice_group.command()
@click.option("--slice", "slice_", metavar="NAME", help="Only within one of [slices].")
@click.option(
    "--by",
    type=click.Choice(["duplicates", "clusters"]),
    default="duplicates",
    show_default=True,
    help="The same but for a word or so, or about the same thing.",
)
@click.option("--days", default=7.0, show_default=True, help="How long the last window is, for the trend.")
@click.option("--texts", is_flag=True, help="Show what was said in an example of each group.")
@known_at
@workspace_option
@answers
def failures(
    slice_: str | None,
    by: Literal["duplicates", "clusters"],
    days: float,
    workspace: str,
    *,
    texts: bool,
    **known: object,
) -> Answer:
    """What users say again and again and goes wrong, in groups; first those that fail most beyond the rate of all."""
    from clworkbench.display.progress import progress_bar
    from clworkbench.loop.slices.repeated import repeated
    from clworkbench.workspace import Workspace

    with progress_bar("compare texts") as advance:
        found = repeated(
            Workspace(workspace),
            slice_,
            by=by,
            days=days,
            texts=texts,
            advance=advance,
            **known,  # type: ignore[arg-type]
        )
    return found.as_dict(), found.lines()


@slice_group.command(name="list")
@workspace_option
@answers
def list_slices(workspace: str) -> Answer:
    """The slices of clw.toml, with the version of each."""
    from clworkbench.loop.slices.slices import declared
    from clworkbench.workspace import Workspace

    found = declared(Workspace(workspace))
    lines = [f"{one}  {short(one.expression, 200)}" for one in found]
    none = ["no slices yet: `clw slice find` proposes some, `clw slice save NAME EXPR` names one"]
    rows = [{"name": one.name, "version": one.version, "expression": one.expression} for one in found]
    return {"slices": rows}, lines or none


@slice_group.command()
@click.argument("name")
@click.argument("expression")
@click.option("--replace", is_flag=True, help="Give a slice that is there another expression.")
@workspace_option
@answers
def save(name: str, expression: str, replace: bool, workspace: str) -> Answer:
    """Write a slice into clw.toml: NAME, and an EXPRESSION over signals in SQL."""
    from clworkbench.loop.slices.slices import save as save_slice
    from clworkbench.workspace import Workspace

    place = Workspace(workspace)
    made = save_slice(place, name, expression, replace=replace)
    inside = made.holds(place.signals())
    answer = {"name": made.name, "version": made.version, "expression": made.expression, "signals": int(inside.sum())}
    held = f"It holds {inside.sum():,} of {len(inside):,} signals."
    return answer, [f"{made} stands in [slices] of {place.folder / 'clw.toml'}. {held}"]


VERBS = [slice_group]
