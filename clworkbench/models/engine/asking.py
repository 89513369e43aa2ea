"""What the engine is asked, and what it says, piece by piece."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from clworkbench.models.chat import Message

Finish = Literal["stop", "length", "cancelled", "error"]


@dataclass(frozen=True)
class Ask:
    """One request.

    Attributes:
        messages: rows of the MESSAGE type.
        model: one of the engine's models.
        max_new_tokens: where the answer is cut, its stop token counted; what the context leaves when None.
        temperature: of the sampling; 0 takes the likeliest token.
        top_p: of the sampling: only the likeliest tokens that together have this probability.
        seed: of the sampling; with the same one the same draws are made, whatever is answered beside it.
        stop: texts that end the answer, and do not stand in it.
        tools: the schemas that may be called, as JSON.
    """

    messages: Sequence[Message]
    model: str
    max_new_tokens: int | None = None
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stop: Sequence[str] = ()
    tools: str | None = None


@dataclass(frozen=True)
class Piece:
    """What an answer has grown by; the last piece has a `finish`.

    Attributes:
        text: the new text, which may be empty.
        n_input_tokens: of the prompt.
        n_output_tokens: so far, the stop token among them.
        confidence: the mean probability of the tokens so far: above 0, at most 1; None before the first.
        finish: `stop` (the model, or a stop text, ended the answer), `length` (cut), `cancelled`, `error`.
        error: why there is no more, after an error.
    """

    text: str
    n_input_tokens: int
    n_output_tokens: int
    confidence: float | None
    finish: Finish | None = None
    error: str | None = None


OnPiece = Callable[[Piece], None]
"""Told of each piece, in the engine's own thread: it must be quick and must not fail."""
