"""One request on its way: what was asked, what was said so far, and who is told."""

from dataclasses import dataclass, field

from clworkbench.models.engine.asking import Finish, OnPiece, Piece
from clworkbench.models.engine.text import GrowingText
from clworkbench.models.sampling import Sampling


@dataclass(eq=False)
class Row:
    """A request that waits, or is being answered.

    Attributes:
        model: who answers; `adapter` what its rows are marked with.
        prompt: its tokens.
        limit: tokens of the answer at most.
        sampling: how tokens are chosen.
        ends: tokens that end the answer.
        text: the answer so far.
        tell: told of each piece.
        cancelled: nobody waits for the answer any more.
        done: the last piece was told.
    """

    model: str
    prompt: list[int]
    limit: int
    sampling: Sampling
    ends: frozenset[int]
    text: GrowingText
    tell: OnPiece
    adapter: str = ""
    cancelled: bool = False
    done: bool = False
    n: int = 0
    probabilities: float = field(default=0.0)

    def grow(self, token: int, probability: float) -> None:
        """Takes the next token in and tells what it says."""
        self.n += 1
        self.probabilities += probability
        if self.cancelled:
            self.end("cancelled")
        elif token in self.ends:
            self.end("stop")
        elif text := self._said(token):
            self.tell(self._piece(text))
        elif self.text.stopped and not self.done:
            self.end("stop")

    def _said(self, token: int) -> str:
        """What is told beside an end, which is told with the last of the text."""
        text = self.text.add(token)
        if self.text.stopped:
            self._end("stop", text)
            return ""
        if self.n >= self.limit:
            self._end("length", text + self.text.rest())
            return ""
        return text

    def end(self, finish: Finish, error: str | None = None) -> None:
        """Tells the last piece, once."""
        if not self.done:
            self._end(finish, "" if finish == "error" else self.text.rest(), error)

    def _end(self, finish: Finish, text: str, error: str | None = None) -> None:
        self.done = True
        # A text that was held back may hold what ends the answer.
        finish = "stop" if self.text.stopped and finish == "length" else finish
        self.tell(self._piece(text, finish, error))

    def _piece(self, text: str, finish: Finish | None = None, error: str | None = None) -> Piece:
        confidence = self.probabilities / self.n if self.n else None
        return Piece(text, len(self.prompt), self.n, confidence, finish, error)
