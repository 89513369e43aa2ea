"""Artefacts: folders with a manifest that is written last, so that its being there means the artefact is whole."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import polars as pl

from clworkbench.errors import ArtefactError
from clworkbench.files import sha256_file, told_when_full, write_atomically
from clworkbench.workspace.catalog import now

MANIFEST = "manifest.json"
VERSION_DIGITS = 12


@dataclass(frozen=True)
class Manifest:
    """What an artefact is and what it was made from.

    Attributes:
        id: `kind:name@version`, or `kind:name` where the name alone is the version.
        parents: ids of what it was made from, signals left out (they stand in the rows).
        rows_sha256: hash of the canonical rows; it makes the version.
        files: hash of each file, by its path in the folder; it shows tampering.
        about: everything else: settings, counts, waterfall, environment.
    """

    kind: str
    id: str
    created: str
    parents: tuple[str, ...]
    code_version: str
    config_sha256: str
    rows_sha256: str
    files: Mapping[str, str]
    about: Mapping[str, object] = field(default_factory=dict)

    def as_dict(self) -> dict[str, object]:
        """The manifest as it stands in `manifest.json`."""
        return {
            "kind": self.kind,
            "id": self.id,
            "created": self.created,
            "parents": list(self.parents),
            "code_version": self.code_version,
            "config_sha256": self.config_sha256,
            "rows_sha256": self.rows_sha256,
            "files": dict(self.files),
            **self.about,
        }


def sha256_json(value: object) -> str:
    """Hash of a JSON value in canonical form (sorted keys, no spaces)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def sha256_rows(frame: pl.DataFrame) -> str:
    """Hash of the rows of a frame in canonical form: as JSON lines, in the order they stand."""
    digest = hashlib.sha256()
    for part in frame.iter_slices(10_000):
        digest.update(part.write_ndjson().encode())
    return digest.hexdigest()


def code_version() -> str:
    """The version of this package."""
    return version("clworkbench")


def seal(
    folder: Path,
    *,
    kind: str,
    artefact_id: str,
    parents: Sequence[str],
    config: object,
    rows_sha256: str,
    about: Mapping[str, object],
) -> Manifest:
    """Writes the manifest of a finished folder: from then on the artefact is there."""
    inside = (p for p in sorted(folder.rglob("*")) if p.is_file() and p.name != MANIFEST)
    manifest = Manifest(
        kind=kind,
        id=artefact_id,
        created=now().isoformat(),
        parents=tuple(parents),
        code_version=code_version(),
        config_sha256=sha256_json(config),
        rows_sha256=rows_sha256,
        files={str(path.relative_to(folder)): sha256_file(path) for path in inside},
        about=about,
    )
    write_atomically(folder / MANIFEST, json.dumps(manifest.as_dict(), indent=2, ensure_ascii=False, default=str))
    return manifest


def read_manifest(folder: Path) -> dict[str, object] | None:
    """The manifest of a folder, or None where the artefact is not whole.

    Raises:
        ArtefactError: there is a manifest and it cannot be read.
    """
    path = folder / MANIFEST
    if not path.exists():
        return None
    try:
        manifest = json.loads(path.read_text())
    except ValueError as error:
        raise ArtefactError(
            f"{path}: not valid JSON ({error}). Restore the file, or delete its folder and build again."
        ) from error
    if not isinstance(manifest, dict):
        raise ArtefactError(f"{path}: not a JSON object. Restore the file, or delete its folder and build again.")
    return manifest


def tampered(folder: Path, manifest: Mapping[str, object]) -> list[str]:
    """The files of an artefact that are missing or are not what its manifest says."""
    files = manifest["files"]
    if not isinstance(files, Mapping):
        return [MANIFEST]
    return [name for name, sha in files.items() if not (folder / name).exists() or sha256_file(folder / name) != sha]


@contextmanager
def draft(folder: Path) -> Iterator[Path]:
    """A hidden folder that becomes `folder` when the block ends well, and disappears when it does not."""
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        with told_when_full(folder.name, folder.parent):
            partial.mkdir(parents=True)
            yield partial
            if not folder.exists():
                partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
