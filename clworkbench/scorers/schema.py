"""Scores by JSON Schema: each example's own, or one file's for all."""

from importlib.util import find_spec
from pathlib import Path

import polars as pl

from clworkbench.errors import ClwError
from clworkbench.files import sha256_file
from clworkbench.scorers.apart import Apart
from clworkbench.scorers.scorer import Graded, Scorer, here, nobody_can_say

CHECK = Path(__file__).with_name("schema_check.py")
OWN_WORDS = r"^Unfit: (.*) \(line \d+\)$"


def json_schema(name: str) -> Scorer:
    """1 where the whole output is JSON that a schema accepts.

    With `json_schema` the schema is `expected`; with `json_schema:FILE` it is that file beside `clw.toml`, and
    `expected`, where there is one, is an answer.

    Raises:
        ClwError: jsonschema is not installed, or the file is not there, or holds no schema.
    """
    if find_spec("jsonschema") is None:
        raise ClwError(f"scorer {name!r} needs jsonschema. Install it: pip install 'clworkbench[schema]'.")
    file_name = name.partition(":")[2]
    if not file_name:
        return Scorer(name, lambda outputs, expected, _inputs: _checked(name, outputs, expected), nobody_can_say)
    file = here().file(file_name, f"scorer {name!r}")
    schema = file.read_bytes().decode(errors="replace")

    def grade(outputs: pl.Series, expected: pl.Series, _inputs: pl.Series | None) -> Graded:
        return _checked(name, outputs, pl.repeat(schema, len(expected), dtype=pl.String, eager=True))

    if problem := _checked(name, pl.Series(["null"]), pl.Series([schema])).error[0]:
        raise ClwError(f"scorer {name!r}: {problem}.")
    return Scorer(name, grade, content=lambda: sha256_file(file))


def _checked(name: str, outputs: pl.Series, schemas: pl.Series) -> Graded:
    """Where there is no output, the score is 0 once the schema is known to be one."""
    rows = pl.DataFrame({"output": outputs, "schema": schemas}, schema=dict.fromkeys(("output", "schema"), pl.String))
    rows = rows.with_row_index("place")
    parts = [
        _apart(name, rows.filter(pl.col("schema").is_null()), None),
        _apart(name, rows.filter(pl.col("schema").is_not_null() & pl.col("output").is_not_null()), "conforms"),
        _apart(name, rows.filter(pl.col("schema").is_not_null() & pl.col("output").is_null()), "is_schema"),
    ]
    found = pl.concat(parts).sort("place")
    score = pl.when(pl.col("output").is_null()).then(pl.col("score") * 0).otherwise("score")
    return Graded(found.select(score=score)["score"], found["error"])


def _apart(name: str, rows: pl.DataFrame, function: str | None) -> pl.DataFrame:
    if rows.is_empty() or function is None:
        return rows.with_columns(score=pl.lit(None, pl.Float64), error=pl.lit(None, pl.String))
    apart = Apart(name, str(CHECK), function, CHECK.parent)
    graded = apart.graded(rows["output"].fill_null(""), rows["schema"])
    return rows.with_columns(score=graded.score, error=graded.error.str.replace(OWN_WORDS, "$1"))
