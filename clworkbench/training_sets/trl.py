"""Rows as TRL's trainers take them: a data set with TRL's column names and messages as chat templates read them."""

from typing import TYPE_CHECKING

import polars as pl

from clworkbench.models.chat import schemas, template_messages
from clworkbench.schemas import MESSAGES, TRAINING_ROWS, TrainingKind

if TYPE_CHECKING:
    from datasets import Dataset

OWN = ("row_id", "weight")
"""Columns that trainers leave alone, and by which rows are found again."""


def dataset_of(rows: pl.DataFrame, kind: TrainingKind) -> "Dataset":
    """A `datasets.Dataset` of these rows.

    Messages and schemas are kept as JSON, so that no message gets the keys of another: an Arrow struct would fill in
    nulls, also within the arguments of tool calls. Null margins are 0 (nothing is demanded), and columns without any
    value (`tools`, `margin`) are left out.

    Args:
        rows: of a training set.
        kind: of the rows.

    Returns:
        By kind `prompt`, `completion`; `prompt`, `chosen`, `rejected`; `prompt`, `completion`, `label`; `chosen`,
        `rejected`, `margin`; `prompt`, `verifier`, `expected`; and `tools` (a list), `row_id`, `weight`.

    Source: TRL 1.16, dataset formats, https://huggingface.co/docs/trl/dataset_formats.
    """
    from datasets import Dataset, Features, Json, List, Value

    schema = TRAINING_ROWS[kind]
    talks = [name for name, dtype in schema.items() if dtype == MESSAGES]
    features = {name: List(Json()) for name in talks}
    columns: dict[str, list[object]] = {name: [template_messages(talk) for talk in rows[name]] for name in talks}
    types = {pl.String(): "string", pl.Boolean(): "bool", pl.Float64(): "float64"}
    for name in ("label", "margin", "verifier", "expected", *OWN):
        if name in schema and rows[name].count():
            columns[name] = rows[name].fill_null(0.0).to_list() if name == "margin" else rows[name].to_list()
            features[name] = Value(types[schema[name]])
    tools = [schemas(text) for text in rows["tools"]] if "tools" in rows.columns else []
    if any(tools):
        columns["tools"], features["tools"] = [*tools], List(Json())
    return Dataset.from_dict(columns, features=Features(features))
