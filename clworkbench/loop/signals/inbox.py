"""Which files an ingest reads, and as which source."""

from collections.abc import Sequence, Set
from difflib import get_close_matches
from glob import glob
from pathlib import Path

from clworkbench.errors import SettingsError, SourceError
from clworkbench.settings import Settings, Source
from clworkbench.signals.reading import detect
from clworkbench.signals.recognise import FORMATS
from clworkbench.workspace import Workspace
from clworkbench.workspace.folder import FOLDERS

DATA_SUFFIXES = (
    *(".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".arrow", ".log", ".traj", ".pb", ".binpb"),
    *(".gz", ".zst", ".zstd"),
)
"""What is read of a folder: a licence or a note beside the data is no data."""

OURS = (*FOLDERS.values(), "tables", "records", "certificates", "spool", "simulation")
"""Folders in a workspace that are its own, and no inbox."""

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


def by_source(
    workspace: Workspace, given: Sequence[str | Path], name: str
) -> tuple[list[tuple[Source, list[Path]]], dict[str, str]]:
    """The files of each source, and those that are of no known format, with what was found in them.

    With `auto` a file belongs to the source in `clw.toml` that names it under `paths`, else to its format's.

    Raises:
        SourceError: the one file that was named is of no known format, or all of several are.
    """
    files: dict[str, list[Path]] = {}
    sources: dict[str, Source] = {}
    left_out: dict[str, str] = {}
    declared = _declared(workspace) if name == "auto" else {}
    for file in find_files(given):
        try:
            source = declared.get(file.resolve()) or find_source(workspace.settings, name, file)
        except SourceError as error:
            if [file] == [Path(path) for path in given]:
                raise
            left_out[str(file)] = str(error).partition(", which is none")[0].removeprefix(f"{file}").lstrip(": ")
            continue
        sources[source.name] = source
        files.setdefault(source.name, []).append(file)
    if not files:
        first, found = next(iter(left_out.items()))
        raise SourceError(f"{first}: {found}\nNone of the {len(left_out)} files there is of a known format.")
    return [(sources[source], found) for source, found in files.items()], left_out


def _declared(workspace: Workspace) -> dict[Path, Source]:
    """The files that sources in `clw.toml` name under `paths`."""
    return {
        Path(path).resolve(): source
        for source in workspace.settings.sources.values()
        for pattern in source.paths
        for path in glob(str(workspace.folder / pattern), recursive=True)
    }


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
            files.append(_checked(path))
            continue
        ours = {place.parent / name for place in path.rglob("catalog.db") for name in OURS}
        inside = sorted(_checked(file) for file in path.rglob("*") if _is_data(file, path, ours))
        if not inside:
            raise SourceError(
                f"{path}: a folder without data files ({', '.join(DATA_SUFFIXES)}).\n"
                "Name the folder that holds them, or the files themselves."
            )
        files += inside
    return files


def _checked(path: Path) -> Path:
    """The path, where it is one that can be read twice and named; raises SourceError for a pipe or an odd name."""
    if not path.is_file():
        raise SourceError(f"{path}: a pipe or a device, which cannot be read twice. Write it to a file first.")
    try:
        str(path).encode()
    except UnicodeEncodeError:
        shown = str(path).encode("utf-8", "backslashreplace").decode()
        raise SourceError(f"{shown}: a name that is not UTF-8. Rename the file.") from None
    return path


def _is_data(file: Path, folder: Path, ours: Set[Path]) -> bool:
    """Whether it is a file of data, and none of a workspace's own."""
    if not ours.isdisjoint(file.parents):
        return False
    if file.suffix.lower() not in DATA_SUFFIXES or not holds_something(file):
        return False
    if any(part.startswith(".") for part in file.relative_to(folder).parts):
        return False
    return not (file.name in ABOUT_ARROW or (file.suffix == ".arrow" and file.name.startswith("cache-")))


def holds_something(path: Path) -> bool:
    """Whether it is a file with a byte in it: rotated logs leave empty ones behind, and those say nothing."""
    return path.is_file() and path.stat().st_size > 0
