"""The tables: one schema for each, the grain in a sentence, and the words that closed columns may hold."""

from typing import Literal, get_args

import polars as pl

TimestampUtc = pl.Datetime("us", "UTC")

TOOL_CALL = pl.Struct({"id": pl.String(), "name": pl.String(), "arguments": pl.String()})

MESSAGE = pl.Struct(
    {
        "role": pl.String(),
        "content": pl.String(),
        "tool_calls": pl.List(TOOL_CALL),
        "tool_call_id": pl.String(),
        "name": pl.String(),
        "parts": pl.String(),
    }
)
"""One message in OpenAI's words. `parts` (JSON) keeps what text alone would lose: images, reasoning, tool results."""

MESSAGES = pl.List(MESSAGE)

INTERACTIONS = pl.Schema(
    {
        "interaction_id": pl.String(),
        "source": pl.String(),
        "source_id": pl.String(),
        "trace_id": pl.String(),
        "parent_id": pl.String(),
        "conversation_id": pl.String(),
        "user_key": pl.String(),
        "app": pl.String(),
        "environment": pl.String(),
        "operation": pl.String(),
        "started_at": TimestampUtc,
        "updated_at": TimestampUtc,
        "latency_ms": pl.Float64(),
        "provider": pl.String(),
        "model": pl.String(),
        "model_version": pl.String(),
        "release_id": pl.String(),
        "propensity": pl.Float64(),
        "input": MESSAGES,
        "output": MESSAGES,
        "tools": pl.String(),
        "parameters": pl.String(),
        "n_input_tokens": pl.Int64(),
        "n_output_tokens": pl.Int64(),
        "cost_usd": pl.Float64(),
        "confidence": pl.Float64(),
        "finish_reason": pl.String(),
        "error": pl.String(),
        "attributes": pl.String(),
        "raw_sha256": pl.String(),
        "batch_id": pl.String(),
    }
)
"""One row for each operation an application's trace or log records, as last reported.

Key: (`interaction_id`, `raw_sha256`). A changed record is a new row and the latest wins: by `updated_at`, the
source's own update time, where it has one, else by commit order. `propensity` is the probability with which a
router chose this model; `confidence` the mean token probability (0 to 1); `cost_usd` null when unknown.
"""

FEEDBACK = pl.Schema(
    {
        "feedback_id": pl.String(),
        "target_id": pl.String(),
        "target_kind": pl.String(),
        "name": pl.String(),
        "kind": pl.String(),
        "score": pl.Float64(),
        "weight": pl.Float64(),
        "value": pl.String(),
        "improvement": MESSAGES,
        "comment": pl.String(),
        "origin": pl.String(),
        "explicit": pl.Boolean(),
        "actor_key": pl.String(),
        "at": TimestampUtc,
        "source": pl.String(),
        "raw_sha256": pl.String(),
        "batch_id": pl.String(),
    }
)
"""One row for each thing that somebody or something said later about an interaction, a conversation or a trace.

Key: (`feedback_id`, `raw_sha256`); the latest commit wins. `score` is -1 to 1, `weight` 0 to 1, `value` JSON,
`improvement` the better answer.
"""

QUARANTINE = pl.Schema(
    {
        "source": pl.String(),
        "file": pl.String(),
        "offset": pl.Int64(),
        "length": pl.Int64(),
        "sha256": pl.String(),
        "reason": pl.String(),
        "batch_id": pl.String(),
    }
)
"""One row for each source record that could not be read: where it stands and why, never its bytes.

`offset` and `length` are bytes in a file of lines; in a table (CSV, Parquet) the row's number, and 1.
"""

CANDIDATES = pl.Schema(
    {
        "candidate_id": pl.String(),
        "interaction_id": pl.String(),
        "reasons": pl.List(pl.String()),
        "priority": pl.Float64(),
        "inclusion_probability": pl.Float64(),
        "as_of": TimestampUtc,
        "stratum": pl.String(),
        "batch_id": pl.String(),
    }
)
"""One row for each signal that one selection found worth a person's attention, with every reason for it.

`stratum` is the reason that it was drawn for: the first with a share, or `random`; of what somebody picked it is
`by_hand`, and `inclusion_probability` is null.
"""

LABELS = pl.Schema(
    {
        "label_id": pl.String(),
        "interaction_id": pl.String(),
        "question": pl.String(),
        "value": pl.String(),
        "improvement": MESSAGES,
        "annotator_key": pl.String(),
        "status": pl.String(),
        "at": TimestampUtc,
        "source": pl.String(),
        "candidate_id": pl.String(),
        "equals_suggestion": pl.Boolean(),
        "batch_id": pl.String(),
    }
)
"""One row for each state of an answer that one annotator gave to one question about one signal; the latest counts.

`status` is `submitted`, `draft`, `discarded` or `withdrawn`. `equals_suggestion`: the answer is what was filled in
already, so that agreement cannot be told from not looking; null where nothing was.
"""

ASKED = pl.Schema(
    {
        "ask_id": pl.String(),
        "dataset": pl.String(),
        "interaction_id": pl.String(),
        "candidate_id": pl.String(),
        "options": pl.List(pl.String()),
        "gold": pl.Boolean(),
        "state": pl.String(),
        "at": TimestampUtc,
        "batch_id": pl.String(),
    }
)
"""One row for each time that a question set was put before annotators about a signal, or taken back; the latest counts.

`dataset` is the set's name. `state` is `pushing` from before a record is written until the whole push is, then `asked`,
or `undone`; a record of an interrupted push may stand, and its answers are read by the `pushing` row. `options` says
what the answers to be compared were, in the order shown: the ids of the interactions that gave them, or `improvement`.
`gold`: the right answer is known.
"""

SCORES = pl.Schema(
    {
        "model": pl.String(),
        "suite": pl.String(),
        "example_id": pl.String(),
        "slices": pl.List(pl.String()),
        "scorer": pl.String(),
        "repetition": pl.Int32(),
        "score": pl.Float64(),
        "output": pl.String(),
        "termination": pl.String(),
        "error": pl.String(),
        "n_input_tokens": pl.Int64(),
        "n_output_tokens": pl.Int64(),
        "latency_ms": pl.Float64(),
        "cost_usd": pl.Float64(),
        "confidence": pl.Float64(),
        "batch_id": pl.String(),
    }
)
"""One row for each model, suite, example, scorer and repetition; an evaluation is a batch.

`score` is null where the scorer could not grade; `termination` is `stop`, `length`, `error` or what an importer's
source said. `latency_ms` is null where requests were timed in batches.
"""

TABLES: dict[str, pl.Schema] = {
    "interactions": INTERACTIONS,
    "feedback": FEEDBACK,
    "quarantine": QUARANTINE,
    "candidates": CANDIDATES,
    "labels": LABELS,
    "asked": ASKED,
    "scores": SCORES,
}


def in_schema(table: str, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with the columns that their table has today: those of older files lack what was added since."""
    missing = [pl.lit(None, dtype).alias(name) for name, dtype in TABLES[table].items() if name not in rows.columns]
    return rows.with_columns(missing).select(list(TABLES[table]))


KEYS: dict[str, tuple[str, ...]] = {
    "interactions": ("interaction_id", "raw_sha256"),
    "feedback": ("feedback_id", "raw_sha256"),
    "quarantine": ("source", "sha256", "offset"),
    "candidates": ("candidate_id",),
    "labels": ("label_id",),
    "asked": ("ask_id", "batch_id"),
    "scores": ("batch_id", "example_id", "scorer", "repetition"),
}
"""What makes a row the same row: an append leaves out rows whose key is committed already."""

DATES: dict[str, str] = {"interactions": "started_at", "feedback": "at", "labels": "at"}
"""When a row happened, in the tables whose rows did."""

SUITE = pl.Schema(
    {
        "example_id": pl.String(),
        "input": MESSAGES,
        "expected": pl.String(),
        "slices": pl.List(pl.String()),
        "group": pl.String(),
        "signal_ids": pl.List(pl.String()),
        "inclusion": pl.Float64(),
    }
)
"""One row for each frozen example of a suite. `group` names what must not stand in training as well (conversation,
user, wording); `signal_ids` the signals it came from, if any; `inclusion` is the probability (above 0, to 1) with which
it was drawn from production, null where somebody chose it. Files of suites without any lack that column."""


def in_suite(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with the columns that a suite has today."""
    missing = [pl.lit(None, dtype).alias(name) for name, dtype in SUITE.items() if name not in rows.columns]
    return rows.with_columns(missing).select(list(SUITE)).cast(SUITE)


def as_frozen(suite: pl.DataFrame) -> pl.DataFrame:
    """The rows as they are written: without `inclusion` where none has one, so that their version is what it was."""
    return suite.drop("inclusion") if suite["inclusion"].null_count() == suite.height else suite


TrainingKind = Literal["sft", "preference", "unpaired", "reward", "prompts"]
TRAINING_KINDS: tuple[str, ...] = get_args(TrainingKind)

_WHENCE: dict[str, pl.DataType] = {
    "weight": pl.Float64(),
    "rule": pl.String(),
    "signal_ids": pl.List(pl.String()),
    "feedback_ids": pl.List(pl.String()),
    "label_ids": pl.List(pl.String()),
    "group": pl.String(),
    "at": TimestampUtc,
    "split": pl.String(),
    "tools": pl.String(),
}

TRAINING_ROWS: dict[str, pl.Schema] = {
    "sft": pl.Schema({"row_id": pl.String(), "prompt": MESSAGES, "completion": MESSAGES, **_WHENCE}),
    "preference": pl.Schema(
        {"row_id": pl.String(), "prompt": MESSAGES, "chosen": MESSAGES, "rejected": MESSAGES, **_WHENCE}
    ),
    "unpaired": pl.Schema(
        {"row_id": pl.String(), "prompt": MESSAGES, "completion": MESSAGES, "label": pl.Boolean(), **_WHENCE}
    ),
    "reward": pl.Schema(
        {"row_id": pl.String(), "chosen": MESSAGES, "rejected": MESSAGES, "margin": pl.Float64(), **_WHENCE}
    ),
    "prompts": pl.Schema(
        {"row_id": pl.String(), "prompt": MESSAGES, "verifier": pl.String(), "expected": pl.String(), **_WHENCE}
    ),
}
"""One row for each training example, by kind of set, under TRL's column names: what it teaches, by which `rule`, with
which `weight`, and from which signals, feedback and labels. `tools` (JSON: the schemas the model could call, or null).

- `sft`: `completion` answers `prompt`.
- `preference`: of two answers to `prompt`, `chosen` was better.
- `unpaired`: `completion` was wanted (`label` true) or not.
- `reward`: of two whole dialogues, `chosen` was better, by `margin` (null where nobody said by how much).
- `prompts`: a sampled answer to `prompt` is verified: `verifier` names a scorer, `expected` what it expects."""

FeedbackKind = Literal["rating", "correction", "preference", "outcome", "comment", "event"]
Origin = Literal["user", "operator", "reviewer", "system"]
TargetKind = Literal["interaction", "conversation", "trace", "any"]
"""`any`: the source does not say; `target_id` is then its own id, looked for among interactions first."""

FEEDBACK_KINDS: tuple[str, ...] = get_args(FeedbackKind)
ORIGINS: tuple[str, ...] = get_args(Origin)
TARGET_KINDS: tuple[str, ...] = get_args(TargetKind)

ACCEPT_WORDS = ("accept", "accepted", "correct", "good", "right", "yes")
REJECT_WORDS = ("reject", "rejected", "wrong", "bad", "no")
"""What a reviewer may say of an answer (the question `answer`), in any case."""

ANSWER_OPERATIONS = ("chat", "text_completion", "generate_content")
"""The operations whose row is a model's answer, and so a signal."""
