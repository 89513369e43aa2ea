"""Progress bars on standard error, silent where nobody looks."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[int, int, str], None]
"""Called with how much is done, of how much, and a word about it."""


def silent(_done: int, _total: int, _note: str = "") -> None:
    """Progress for whom nobody waits."""


@contextmanager
def progress_bar(title: str) -> Iterator[Advance]:
    """A bar titled `title`; drawn only on a terminal, gone when the work is done."""
    from rich import progress
    from rich.console import Console

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[note]}"),
        progress.TimeElapsedColumn(),
        progress.TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with progress.Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=None, note="")

        def advance(done: int, total: int, note: str = "") -> None:
            bar.update(task, completed=done, total=total, note=note)

        yield advance
