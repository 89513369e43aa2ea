"""Why the engine does not take a request."""

from clworkbench.errors import ModelError


class UnknownModel(ModelError):
    """A request asks for a model that the engine does not hold."""


class PromptTooLong(ModelError):
    """A prompt leaves no room for the answer.

    Attributes:
        n: tokens of the prompt.
        limit: tokens that the model reads and writes together.
    """

    def __init__(self, n: int, wanted: int, limit: int) -> None:
        super().__init__(
            f"a prompt of {n:,} tokens and an answer of {wanted:,} exceed the model's {limit:,}. "
            "Send less, or ask for a shorter answer."
        )
        self.n, self.limit = n, limit


class EngineFull(ModelError):
    """As many requests wait as may."""


class EngineClosed(ModelError):
    """The engine has ended."""
