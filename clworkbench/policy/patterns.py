"""What e-mail addresses, phones, payment cards, IBANs and IP addresses look like, and which of them are real ones."""

import re
from ipaddress import AddressValueError, IPv6Address

_LETTERS = r"A-Za-z\u00c0-\u024f\u0370-\u04ff"
"""Latin, Greek and Cyrillic; scripts that run on without a space (`邮箱a@b.cn`) end a match."""
_LOCAL = rf"[0-9{_LETTERS}_.+-]"
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])"
_SEP = r"[ \u00a0\u202f./\u2010\u2011-]"
_NOT_AFTER = r"(?<![0-9A-Za-z_#@$€£¥])"

PREFILTERS = {
    "EMAIL": r"[^\s@]@[^\s@]+\.",
    "IBAN": r"(?:^|[^0-9A-Za-z])[A-Za-z]{2}[0-9]{2}(?:[ \u00a0-]?[0-9A-Za-z]){11}",
    "CARD": r"(?:^|[^0-9A-Za-z_])[0-9](?:[ \u00a0\u202f-]?[0-9]){12}",
    "IP": r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]|::[0-9A-Fa-f]|[0-9A-Fa-f]::|(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]",
    "PHONE": r"(?:^|[^0-9A-Za-z_])[0-9](?:[ ()./+\u00a0\u202f\u2010\u2011-]{0,3}[0-9]){6}",
}
"""Cheap and wider than the patterns below, in the syntax that Rust's and Python's engines share."""

EMAIL = re.compile(
    # Possessive, and only from the start of a run: a long run without an @ is read once, not once a character.
    rf"(?<!{_LOCAL}){_LOCAL}++(?:'{_LOCAL}++)?@(?:[0-9{_LETTERS}_-]+\.)+(?:xn--[0-9a-z-]+|[{_LETTERS}]{{2,}})"
)

CARD = re.compile(r"(?<![0-9A-Za-z_+])(?<![0-9][.,-])[0-9](?:[ \u00a0\u202f-]?[0-9]){12,18}(?![0-9A-Za-z_]|[.,-][0-9])")
_CARD_BRANDS = re.compile(
    r"4(?:[0-9]{12}|[0-9]{15}|[0-9]{18})"  # Visa
    r"|(?:5[1-5][0-9]{2}|222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{12}"  # Mastercard
    r"|3[47][0-9]{13}"  # American Express
    r"|3(?:0[0-59]|[689][0-9])[0-9]{11,16}"  # Diners Club
    r"|35[0-9]{14,17}|(?:2131|1800)[0-9]{11}"  # JCB
    r"|6[0-9]{12,18}"  # Discover, UnionPay, RuPay, Maestro
    r"|5[06-9][0-9]{11,17}"  # Maestro
    r"|(?:220[0-4]|9792|81[0-9]{2}|8600|9860)[0-9]{12}"  # Mir, Troy, RuPay, Uzcard, Humo
)

_IBAN_LENGTHS = {
    15: "NO", 16: "BE", 18: "DK FK FI FO GL NL SD", 19: "MK SI", 20: "AT BA EE KZ LT LU MN XK",
    21: "CH HR LI LV", 22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ OM SO TL",
    24: "AD CZ ES MD PK RO SA SE SK TN VG", 25: "LY PT ST", 26: "IS TR", 27: "BI DJ FR GR IT MC MR SM",
    28: "AL AZ BY CY DO GT HN HU LB NI PL SV", 29: "BR EG PS QA UA", 30: "JO KW MU YE", 31: "MT SC", 32: "LC",
    33: "RU",
}  # fmt: skip
IBAN = re.compile(
    r"(?<![0-9A-Za-z])(?<![0-9A-Za-z]-)(?:"
    + "|".join(
        rf"(?:{countries.replace(' ', '|')})[0-9]{{2}}(?:[ \u00a0-]?[0-9A-Z]){{{length - 4}}}"
        for length, countries in _IBAN_LENGTHS.items()
    )
    + r")(?!-?[0-9A-Za-z])",  # a UUID's part is no IBAN
    re.IGNORECASE,
)

IPV4 = re.compile(rf"(?<![0-9A-Za-z_.])(?<![A-Za-z]/)(?:{_OCTET}\.){{3}}{_OCTET}(?![0-9A-Za-z_]|\.[0-9])")
IPV6 = re.compile(
    rf"(?<![0-9A-Za-z_:.])(?:[0-9A-Fa-f]{{0,4}}:){{2,8}}"
    rf"(?:{_OCTET}(?:\.{_OCTET}){{3}}|[0-9A-Fa-f]{{0,4}})(?![0-9A-Za-z_:]|\.[0-9])"
)
_VERSION_BEFORE = re.compile(r"(?:version|ver\.?|release|section|§|chapter|build)[:=]?\s*$", re.IGNORECASE)

_END = r"(?:\s?(?:x|ext\.?|extension)\s?[0-9]{1,6})?(?![0-9A-Za-z_]|[.,:/-][0-9]|\s?(?:[%€$£¥]|EUR\b|USD\b))"
_SHAPES = (
    rf"(?P<plus>\+[1-9][0-9]{{0,3}}(?:{_SEP}?\(0?[0-9]{{0,4}}\))?(?:{_SEP}{{0,2}}[0-9]){{6,13}})",
    rf"(?P<dialled>00[1-9][0-9]{{0,2}}(?:{_SEP}\(0?[0-9]{{0,4}}\))?(?:{_SEP}[0-9]{{2,8}}){{2,5}})",
    rf"(?:[0-9]{{1,2}}{_SEP})?[0-9]{{3}}{_SEP}[0-9]{{3}}{_SEP}[0-9]{{4}}",  # North America
    rf"(?P<area>(?:[18]{_SEP})?\((?!(?:19|20)[0-9]{{2}}\))0?[0-9]{{1,4}}\){_SEP}?[0-9]{{3,8}}(?:{_SEP}[0-9]{{2,5}}){{0,3}})",
    rf"8{_SEP}[0-9]{{3}}{_SEP}[0-9]{{3}}{_SEP}[0-9]{{2}}{_SEP}[0-9]{{2}}",  # Russia, Kazakhstan
    rf"(?P<trunk>0[0-9]{{1,4}}{_SEP}[0-9]{{2,8}}(?:{_SEP}[0-9]{{2,5}}){{0,4}})",  # Europe, Asia, Australia
    rf"[6-9][0-9]{{2}}(?:{_SEP}[0-9]{{2}}){{3}}",  # Spain
    rf"1[3-9][0-9]{_SEP}[0-9]{{4}}{_SEP}[0-9]{{4}}|[1-9][0-9]{_SEP}[0-9]{{4}}{_SEP}[0-9]{{4}}",  # China; Latin America
)
PHONE = re.compile(rf"{_NOT_AFTER}(?<![A-Za-z]-)(?<![0-9][.,:/+-])(?:{'|'.join(_SHAPES)}){_END}", re.IGNORECASE)
_DIGITS_IN_SHAPE = {"plus": (8, 15), "dialled": (10, 17), "area": (8, 13), "trunk": (9, 12)}

_LOOSE = rf"\+?\(?[0-9](?:[ \u00a0\u202f./()\u2010\u2011-]{{0,3}}[0-9]){{6,14}}{_END}"
PHONE_AFTER_WORD = re.compile(
    r"(?P<before>(?:\b(?:tel|telephone|phone|ph|mobile|mob|cell|cellular|fax|call|whatsapp|sms|dial|ring|pager|handy"
    r"|telefon|tel[eé]fono|m[oó]vil|celular|t[eé]l|t[eé]l[eé]phone|telefono|cellulare|telefone"
    r"|(?:answer|reach|text|contact)(?:ing)?(?: (?:me|us|him|her|them))?(?: at| on)"
    r"|(?:my|his|her|their|your|contact) number)\b|电话|手机|電話|携帯|전화)"
    rf"[^0-9\n]{{0,25}}?){_NOT_AFTER}(?P<number>{_LOOSE})",
    re.IGNORECASE,
)
PHONE_BEFORE_WORD = re.compile(
    rf"{_NOT_AFTER}(?<![0-9][.,:/-])(?P<number>{_LOOSE})(?=[ -]\(?(?:office|fax|mobile|cell|home|work)\b)",
    re.IGNORECASE,
)
PHONE_KEY = re.compile(
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
_NO_DIGIT = re.compile(r"[^0-9]+")


def is_card(text: str) -> bool:
    """A payment card's number: 13 to 19 digits of a known scheme with a right check digit.

    The schemes' leading digits keep time stamps (which start with 1) and most order numbers out.

    Source: ISO/IEC 7812-1, annex B (Luhn); the schemes' published ranges.
    """
    digits = _NO_DIGIT.sub("", text)
    if not _CARD_BRANDS.fullmatch(digits) or len(set(digits)) == 1:
        return False
    doubled = (sum(divmod(2 * int(d), 10)) for d in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0


def is_iban(text: str) -> bool:
    """An IBAN with right check digits: the country's length is the pattern's part. Source: ISO 13616-1 (mod 97-10)."""
    bare = "".join(c for c in text.upper() if c.isascii() and c.isalnum())
    return int("".join(str(int(c, 36)) for c in bare[4:] + bare[:4])) % 97 == 1


def is_ipv4(match: re.Match[str]) -> bool:
    """Four octets that are not introduced as a version or a section."""
    return not _VERSION_BEFORE.search(match.string, max(0, match.start() - 12), match.start())


def is_ipv6(text: str) -> bool:
    """An IPv6 address long enough not to be code (`a::b`) or a time of day. Source: RFC 4291, 2.2."""
    try:
        IPv6Address(text)
    except AddressValueError:
        return False
    return sum(c != ":" for c in text) >= 4 and any(c.isdigit() for c in text)


def is_phone(match: re.Match[str]) -> bool:
    """A number in one of the phones' shapes that is no date and has as many digits as its shape asks."""
    text = match[0]
    if _DATE.match(text) or _SOCIAL_SECURITY.fullmatch(text):
        return False
    low, high = _DIGITS_IN_SHAPE.get(match.lastgroup or "", (7, 15))
    return low <= _count_digits(text) <= high


def is_phone_beside_word(match: re.Match[str]) -> bool:
    """A number whose neighbour says that it is a phone's, unless another word says what else it is."""
    number = match["number"]
    if _DATE.match(number):
        return False
    before = match.groupdict().get("before")
    if before is None:
        return not _THOUSANDS.fullmatch(number)
    return not _ANOTHER_NUMBER.search(before)


def is_phone_value(text: str) -> bool:
    """A whole value under a key such as `phone`: 7 to 15 digits (ITU-T E.164) and separators."""
    return re.fullmatch(r"\+?[0-9 ()./\u00a0-]+", text) is not None and 7 <= _count_digits(text) <= 15


def _count_digits(text: str) -> int:
    bare = re.split(r"\s?[xX]|\s?ext", text, maxsplit=1)[0]
    return len(_NO_DIGIT.sub("", bare))
