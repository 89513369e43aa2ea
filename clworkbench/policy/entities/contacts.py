"""E-mail addresses, and phones in their many national spellings."""

import re
from urllib.parse import unquote

from clworkbench.policy.entities.entity import DIGITS, Entity, digits_of, matches, matches_in_runs

_LETTERS = r"A-Za-z\u00c0-\u024f\u0370-\u04ff"
"""Latin, Greek and Cyrillic; scripts that run on without a space (`邮箱a@b.cn`) end a match."""
_LOCAL = rf"[0-9{_LETTERS}_.+-]"
_LOCAL_BACKWARDS = re.compile(rf"{_LOCAL}++(?:'{_LOCAL}++)?")
_ENCODED_LOCAL_BACKWARDS = re.compile(rf"(?:[Bb]2(?:52)?%|(?![0-9A-Fa-f]{{2}}(?:52)?%){_LOCAL})++")
_AT = re.compile("@|%(?:25)?40")
"""In an address on the web it stands encoded, perhaps twice."""
_LOCAL_AT_MOST = 256
_DOMAIN = re.compile(rf"(?:[0-9{_LETTERS}_-]+\.)+(?:xn--[0-9a-z-]+|[{_LETTERS}]{{2,}})")

_SEP = r"[ \u00a0\u202f./\u2010\u2011-]"
_GAP = r"[ \u00a0\u202f.\u2010\u2011-]"
_NOT_AFTER = r"(?<![0-9A-Za-z_#@$€£¥])"
_END = (
    r"(?:\s?(?:x|X|(?i:ext(?:ension|\.)?))\s?[0-9]{1,6})?"
    r"(?![0-9A-Za-z_]|[.:-][0-9]|\s?(?:[%€$£¥](?!\s?[0-9])|(?:EUR|USD|eur|usd)\b))"
)
_SHAPES = (
    rf"\+1{_GAP}?[0-9]{{3}}{_GAP}[0-9]{{3}}{_GAP}[0-9]{{4}}",  # North America
    rf"(?P<plus>\+[1-9][0-9]{{0,3}}(?:{_SEP}?\(0?[0-9]{{0,4}}\))?"
    rf"(?:(?:{_GAP}{{0,2}}[0-9]){{1,5}}/(?:{_GAP}{{0,2}}[0-9]){{4,9}}|(?:{_SEP}?{_GAP}?[0-9])(?:{_GAP}{{0,2}}[0-9]){{5,12}}))",
    rf"(?P<dialled>00[1-9][0-9]{{0,2}}(?:{_SEP}\(0?[0-9]{{0,4}}\))?(?:{_SEP}[0-9]{{2,8}}){{2,5}})",
    rf"(?:[0-9]{{1,2}}{_GAP})?[0-9]{{3}}{_GAP}[0-9]{{3}}{_GAP}[0-9]{{4}}|[0-9]{{3}}/[0-9]{{3}}/[0-9]{{4}}",
)
_SHAPES_LIKE_DATES = (
    rf"(?P<area>(?:[18]{_SEP})?\((?!(?:19|20)[0-9]{{2}}\))0?[0-9]{{1,4}}\){_SEP}?[0-9]{{3,8}}(?:{_SEP}[0-9]{{2,5}}){{0,3}})",
    rf"8{_SEP}[0-9]{{3}}{_SEP}[0-9]{{3}}{_SEP}[0-9]{{2}}{_SEP}[0-9]{{2}}",  # Russia, Kazakhstan
    rf"(?P<trunk>0[0-9]{{1,4}}{_SEP}[0-9]{{2,8}}(?:{_GAP}[0-9]{{2,5}}|/[0-9]{{2}}(?![0-9])){{0,4}})",  # Europe, Asia
    rf"[6-9][0-9]{{2}}(?:{_GAP}[0-9]{{2}}){{3}}",  # Spain
    rf"1[3-9][0-9]{_GAP}[0-9]{{4}}{_GAP}[0-9]{{4}}|[1-9][0-9]{_GAP}[0-9]{{4}}{_GAP}[0-9]{{4}}",  # China; Latin America
)
_NO_DATE = r"(?!/(?:(?:19|20)[0-9]{2}|[0-9]{1,2})(?![0-9 .-]))"
"""A slash and what ends a date; another slash may part two numbers."""
_PHONE = re.compile(
    rf"{_NOT_AFTER}(?<![A-Za-z]-)(?<![0-9][.:+-])"
    rf"(?:{'|'.join(_SHAPES)}|(?<!\b[0-9]/)(?<!(?<![0-9][.-])\b[0-9][0-9]/)(?:{'|'.join(_SHAPES_LIKE_DATES)}){_NO_DATE}){_END}"
)
_RUN = re.compile(r"[+(0-9](?:[ ()./+\u00a0\u202f\u2010\u2011-]{0,3}[0-9]){6,}")
_DIGITS_IN_SHAPE = {"plus": (8, 15), "dialled": (10, 17), "area": (8, 13), "trunk": (9, 12)}

_LOOSE = rf"\+?\(?[0-9](?:[ \u00a0\u202f./()\u2010\u2011-]{{0,3}}[0-9]){{6,14}}{_END}(?!,[0-9]{{1,2}}(?![0-9,;]))"
_WORDS = (
    r"tel|telephone|phone|ph|mobile|mob|cell|cellular|fax|call|whatsapp|sms|dial|ring|pager|handy"
    r"|telefon|tel[eé]fono|m[oó]vil|celular|t[eé]l|t[eé]l[eé]phone|telefono|cellulare|telefone"
    r"|(?:answer|reach|text|contact)(?:ing)?(?: (?:me|us|him|her|them))?(?: at| on)"
    r"|(?:my|his|her|their|your|contact) number"
)
_WORDS_RUN_ON = "电话|手机|電話|携帯|전화"
_WORD_BEFORE = re.compile(rf"(?:\b(?:{_WORDS})\b|{_WORDS_RUN_ON})(?P<between>[^0-9\n\[\]]{{0,25}})$", re.IGNORECASE)
_WORD_THEN_DIGIT = rf"(?i:(?-u:\b)(?:{_WORDS})(?-u:\b)|{_WORDS_RUN_ON})[^0-9\n\[\]]{{0,25}}[0-9]"
_WORD_BEFORE_AT_MOST = 50
_LOOSE_NUMBER = re.compile(rf"{_NOT_AFTER}(?P<value>{_LOOSE})")
_LOOSE_BEFORE_WORD = re.compile(
    rf"{_NOT_AFTER}(?<![0-9][.:/-])(?P<value>{_LOOSE})(?=[ -]\(?(?i:office|fax|mobile|cell|home|work)\b)"
)
_KEY = re.compile(
    r"(?i:(?:^|[._\s-])(?:phone|telephone|tel|mobile|cell|fax|msisdn|whatsapp)(?:[._\s-]?(?:number|no|nr))?$)"
    r"|[a-z](?:Phone|Mobile|Fax)(?:Number|No)?$"
)
_ANOTHER_NUMBER = re.compile(
    r"(?:\b|_)(?:order|item|ticket|invoice|account|case|booking|reference|ref|tracking|policy|serial|card|id|isbn|amount)\b",
    re.IGNORECASE,
)
_DATE = re.compile(
    r"(?:[0-9]{1,2}([./ -])[0-9]{1,2}\1(?:19|20)[0-9]{2}|(?:19|20)[0-9]{2}([./ -])[0-9]{1,2}\2[0-9]{1,2})(?![0-9])"
)
_SOCIAL_SECURITY = re.compile(r"[0-9]{3}-[0-9]{2}-[0-9]{4}")
_THOUSANDS = re.compile(r"[0-9]{1,3}([ .\u00a0\u202f])[0-9]{3}(?:\1[0-9]{3})*")
_DECIMALS = re.compile(r",[0-9]{1,2}(?![0-9A-Za-z]| [0-9])")
_EXTENSION = re.compile(r"\s?[xX]|\s?ext")


def is_phone_key(key: str) -> bool:
    """Whether what stands under this key is a phone's number."""
    return _KEY.search(key) is not None


def is_phone_value(value: str) -> bool:
    """A whole value under a key such as `phone`: 7 to 15 digits (ITU-T E.164) and separators."""
    return re.fullmatch(r"\+?[0-9 ()./\u00a0-]+", value) is not None and 7 <= _count_digits(value) <= 15


def _emails(text: str) -> list[tuple[int, int]]:
    """From each @ backwards and forwards: read from its beginning, every word might be an address."""
    spans: list[tuple[int, int]] = []
    at, before = _AT.search(text), 0
    while at:
        domain = _DOMAIN.match(text, at.end())
        backwards = _LOCAL_BACKWARDS if at[0] == "@" else _ENCODED_LOCAL_BACKWARDS
        local = domain and backwards.match(text[max(before, at.start() - _LOCAL_AT_MOST) : at.start()][::-1])
        if domain and local:
            before = domain.end()
            spans.append((at.start() - local.end(), before))
        at = _AT.search(text, before if domain and local else at.end())
    return spans


def _address(value: str) -> str:
    return unquote(unquote(value)).casefold() if "%" in value else value.casefold()


def _is_phone(match: re.Match[str]) -> bool:
    """In one of the phones' shapes, no date, and as many digits as its shape asks."""
    text = match[0]
    if _DATE.match(text) or _SOCIAL_SECURITY.fullmatch(text):
        return False
    n = _count_digits(text)
    if n < 11 and _DECIMALS.match(match.string, match.end()) and _THOUSANDS.fullmatch(text.lstrip("+")):
        return False
    low, high = _digits_in_shape(match)
    return low <= n <= high


def _is_several(match: re.Match[str]) -> bool:
    """More digits than one phone has: the next number follows after a blank."""
    return _count_digits(match[0]) > _digits_in_shape(match)[1]


def _digits_in_shape(match: re.Match[str]) -> tuple[int, int]:
    return _DIGITS_IN_SHAPE.get(match.lastgroup or "", (7, 15))


def _after_word(text: str) -> list[tuple[int, int]]:
    """Numbers that follow a word such as `phone`, unless another word between says what else they are."""
    spans = []
    for match in _LOOSE_NUMBER.finditer(text):
        word = _WORD_BEFORE.search(text, max(0, match.start() - _WORD_BEFORE_AT_MOST), match.start())
        if word and not _ANOTHER_NUMBER.search(word["between"]) and not _DATE.match(match["value"]):
            spans.append(match.span("value"))
    return spans


def _count_digits(text: str) -> int:
    return len(digits_of(_EXTENSION.split(text, maxsplit=1)[0]))


def _dialled(text: str) -> str:
    """The digits of a phone; `+49 (0)89`, `0049 89` and `+49 89` are one number."""
    return digits_of(text.replace("(0)", "")).removeprefix("00")


EMAIL = Entity("EMAIL", r"[^\s@](?:@|%(?:25)?40)[^\s@]+\.", _emails, normal=_address, in_ids=True)
PHONE = Entity(
    "PHONE", DIGITS, matches_in_runs(_RUN, _PHONE, _is_phone, skip=_DATE, too_long=_is_several), normal=_dialled
)
PHONE_AFTER_WORD = Entity("PHONE", DIGITS, _after_word, normal=_dialled, beside=_WORD_THEN_DIGIT)
PHONE_BEFORE_WORD = Entity(
    "PHONE",
    DIGITS,
    matches(_LOOSE_BEFORE_WORD, lambda m: not _DATE.match(m["value"]) and not _THOUSANDS.fullmatch(m["value"])),
    normal=_dialled,
    beside=r"[0-9][ -]\(?(?i-u:office|fax|mobile|cell|home|work)",
)
