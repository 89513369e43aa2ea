"""From tokens to text while they come: whole characters only, and nothing of a text that ends the answer."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

HALF = "\ufffd"
"""What a decoder writes for bytes that are no character yet."""

LONGEST_HELD = 16
"""Tokens held back at most: bytes that make no character after so many will make none."""


class GrowingText:
    """The text of one answer, token by token.

    A token's text may depend on those before it (a leading blank, a character of several tokens): so a window is
    decoded with and without what is new, and the difference is the new text.
    Source: the streaming decoder of Hugging Face's text-generation-inference, docs.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", stop: Sequence[str] = ()) -> None:
        self._tokenizer, self._stop = tokenizer, [text for text in stop if text]
        self._tokens: list[int] = []
        self._window = self._told = 0
        self._held = ""
        self.stopped = False

    def add(self, token: int) -> str:
        """What can be told once this token is there."""
        self._tokens.append(token)
        text = self._decoded(self._window)
        if text.endswith(HALF) and len(self._tokens) - self._told < LONGEST_HELD:
            return ""
        return self._released(self._news(text), last=False)

    def rest(self) -> str:
        """What was held back, once no token comes any more."""
        return self._released(self._news(self._decoded(self._window)), last=True)

    def _news(self, text: str) -> str:
        before = self._tokenizer.decode(self._tokens[self._window : self._told], skip_special_tokens=True)
        self._window, self._told = self._told, len(self._tokens)
        return text[len(before) :]

    def _decoded(self, start: int) -> str:
        return str(self._tokenizer.decode(self._tokens[start:], skip_special_tokens=True))

    def _released(self, news: str, *, last: bool) -> str:
        if self.stopped:
            return ""
        text = self._held + news
        ends = [place for stop in self._stop if (place := text.find(stop)) >= 0]
        if ends:
            self.stopped, self._held = True, ""
            return text[: min(ends)]
        keep = 0 if last else max((_overlap(text, stop) for stop in self._stop), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]


def _overlap(text: str, stop: str) -> int:
    """How many of the last characters may be the beginning of `stop`."""
    most = min(len(text), len(stop) - 1)
    return next((n for n in range(most, 0, -1) if text.endswith(stop[:n])), 0)
