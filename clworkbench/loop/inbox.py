"""Which files an ingest reads, and as which source."""

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from clworkbench.errors import SettingsError, SourceError
from clworkbench.settings import Settings, Source
from clworkbench.signals.reading import detect
from clworkbench.signals.recognise import FORMATS

DATA_SUFFIXES = (
    *(".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".arrow", ".log", ".traj", ".pb", ".binpb"),
    *(".gz", ".zst", ".zstd"),
)
"""What is read of a folder: a licence or a note beside the data is no data."""

ABOUT_ARROW = frozenset({"state.json", "dataset_info.json", "dataset_dict.json"})
"""What `datasets` writes beside its Arrow files to say what is in them."""


def find_source(settings: Settings, name: str, file: Path) -> Source:
    """The source declared as `name` in `clw.toml`, or, for a format's name, a source so named.

    `auto` that nobody declared is the source of the format that `file` is recognised as, so that the same file read by
    its format's name is the same source.

    Raises:
        SettingsError: neither.
    """
    if name in settings.sources:
        return settings.sources[name]
    formats = list(FORMATS)
    if name == "auto":
        name = detect(file).format
    if name in formats:
        return settings.sources.get(name, Source(name=name, format=name))
    there = [*settings.sources, "auto", *formats]
    close = get_close_matches(name, there, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise SettingsError(
        f"no source {name!r} in clw.toml, and no format of that name.{hint}\n"
        f"There: {', '.join(there)}. Declare it as [sources.{name}] in clw.toml."
    )


def find_files(paths: Sequence[str | Path]) -> list[Path]:
    """The files that paths name; a folder stands for the data files in and below it that are not empty.

    Raises:
        SourceError: a path leads nowhere, or a folder holds no data file.
    """
    files: list[Path] = []
    for path in map(Path, paths):
        if not path.exists():
            raise SourceError(f"{path}: not there. Name a file, or a folder of files.")
        if not path.is_dir():
            files.append(path)
            continue
        inside = sorted(file for file in path.rglob("*") if _is_data(file, path))
        if not inside:
            raise SourceError(
                f"{path}: a folder without data files ({', '.join(DATA_SUFFIXES)}).\n"
                "Name the folder that holds them, or the files themselves."
            )
        files += inside
    return files


def _is_data(file: Path, folder: Path) -> bool:
    if file.suffix.lower() not in DATA_SUFFIXES or not holds_something(file):
        return False
    if any(part.startswith(".") for part in file.relative_to(folder).parts):
        return False
    return not (file.name in ABOUT_ARROW or (file.suffix == ".arrow" and file.name.startswith("cache-")))


def holds_something(path: Path) -> bool:
    """Whether it is a file with a byte in it: rotated logs leave empty ones behind, and those say nothing."""
    return path.is_file() and path.stat().st_size > 0
