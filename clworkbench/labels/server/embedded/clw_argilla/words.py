"""Words of a text, cut the same way when a record is indexed and when it is searched."""

import re
import unicodedata

BOUNDARY = "\ue000"  # stands between two chat messages, so that no phrase runs from one into the next

_MARKS = "".join(chr(i) for i in range(0x300, 0x20000) if unicodedata.category(chr(i)).startswith("M"))
_CJK = "\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_ASCII_WORD = re.compile(r"\w+", re.ASCII)
_WORD = re.compile(rf"[{_CJK}]|[^\W{_CJK}](?:[^\W{_CJK}]|[{_MARKS}\u200c\u200d])*")
_SIGN = re.compile(rf"[{_CJK}]")


def words(text: str) -> list[str]:
    """Words in order, in lower case; each Chinese, Japanese or Korean sign is a word of its own.

    A word is a run of letters, digits, underscores and the marks on them: `get_weather` is one word, `wi-fi` two.
    """
    if text.isascii():
        return _ASCII_WORD.findall(text.lower())
    return _WORD.findall(unicodedata.normalize("NFC", text.lower()))


def is_sign(word: str) -> bool:
    """Whether `word` is a single sign of Chinese, Japanese or Korean."""
    return _SIGN.fullmatch(word) is not None


def units(text: str) -> list[str]:
    """What a searched word asks for: its words, where neighbouring CJK signs stay together as one phrase.

    `units("wi-fi")` is `["wi", "fi"]`; `units("搜索abc")` is `["搜 索", "abc"]`.
    """
    found: list[str] = []
    signs = False
    for word in words(text):
        if signs and is_sign(word):
            found[-1] += " " + word
        else:
            found.append(word)
        signs = is_sign(word)
    return found


def field_words(value: object) -> str:
    """Words of a record's field, with a space between: a text, a chat (its contents, not its roles) or a custom object.

    Argilla's Elasticsearch indexes a custom field as its Python text; so do we.
    """
    if value is None:
        return ""
    if isinstance(value, list):
        contents = [str(message.get("content", "")) if isinstance(message, dict) else str(message) for message in value]
        return f" {BOUNDARY} ".join(" ".join(words(content)) for content in contents)
    return " ".join(words(str(value)))
