"""What a chat template does with messages: asked by rendering some, before a row is."""

from typing import TYPE_CHECKING, Literal, NamedTuple

from clworkbench.errors import ModelError
from clworkbench.models.chat import Message, dialogue_tokens, template_messages, unrendered

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Reads = Literal["rendered", "left out", "refused"]
"""What becomes of a message: the model reads it, it is not there for the model, or the template fails on it."""

SYSTEM = {"role": "system", "content": "system_q7"}
ASKED = {"role": "user", "content": "asked_q7"}
ANSWERED = {"role": "assistant", "content": "answered_q7"}
AGAIN = {"role": "user", "content": "again_q7"}


class TemplateReads(NamedTuple):
    """What a chat template does.

    Attributes:
        system: with a system message that comes first.
        turns: with a second question, after an answer.
        unrendered: which of `tools`, `tool_calls` and `tool` messages it leaves out.
        adds_system: whether it says something in the system's name where no such message is given.
        ends: whether an answer ends with the token at which generation stops: else the model never learns to stop.
    """

    system: Reads
    turns: Reads
    unrendered: tuple[str, ...]
    adds_system: bool
    ends: bool


def template_reads(tokenizer: "PreTrainedTokenizerBase") -> TemplateReads:
    """Asks a tokenizer's chat template, which it must have."""
    alone = (_text(tokenizer, [ASKED, ANSWERED]) or "").partition("asked_q7")[0]
    return TemplateReads(
        system=_reads(tokenizer, [SYSTEM, ASKED, ANSWERED], "system_q7"),
        turns=_reads(tokenizer, [ASKED, ANSWERED, AGAIN, ANSWERED], "again_q7"),
        unrendered=unrendered(tokenizer),
        adds_system="system" in alone.lower(),
        ends=_ends(tokenizer),
    )


def _reads(tokenizer: "PreTrainedTokenizerBase", messages: list[Message], word: str) -> Reads:
    text = _text(tokenizer, messages)
    if text is None:
        return "refused"
    return "rendered" if word in text else "left out"


def _text(tokenizer: "PreTrainedTokenizerBase", messages: list[Message]) -> str | None:
    from jinja2 import TemplateError

    try:
        return str(tokenizer.apply_chat_template(template_messages(messages), tokenize=False))
    except (TemplateError, TypeError):
        return None


def _ends(tokenizer: "PreTrainedTokenizerBase") -> bool:
    """Among the last few tokens: some templates set a line break behind it."""
    try:
        return tokenizer.eos_token_id in dialogue_tokens(tokenizer, [ASKED, ANSWERED])[-3:]
    except ModelError:
        return False
