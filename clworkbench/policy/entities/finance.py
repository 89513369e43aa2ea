"""Payment cards and IBANs, told from other numbers by their check digits."""

import re

from clworkbench.policy.entities.checksums import luhn, mod_97_10
from clworkbench.policy.entities.entity import BEFORE, Entity, alphanumeric, digits_of, matches_in_runs

_CARD = re.compile(r"(?<![0-9A-Za-z_+])(?<![0-9][.-])[0-9](?:[ \u00a0\u202f-]?[0-9]){12,18}(?![0-9A-Za-z_]|[.-][0-9])")
_CARD_IN_A_LIST = re.compile(
    r"(?<![0-9A-Za-z_+])(?<![0-9][.-])(?<![0-9]{4} )"
    r"(?:[0-9]{13,19}|[0-9]{4} [0-9]{4} [0-9]{4} [0-9]{4}|[0-9]{4} [0-9]{6} [0-9]{4,5})(?= [0-9])"
)
_CARD_RUN = re.compile(r"[0-9][0-9 \u00a0\u202f-]{12,}")
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
_IBAN_START = re.compile(r"[A-Za-z][A-Za-z][0-9]{2}(?<![0-9A-Za-z].{4})(?<![0-9A-Za-z]-.{4})", re.DOTALL)
_IBAN_REST = {
    # A UUID's part is no IBAN.
    country: re.compile(rf"(?:[ \u00a0-]?[0-9A-Za-z]){{{length - 4}}}(?!-?[0-9A-Za-z])")
    for length, countries in _IBAN_LENGTHS.items()
    for country in countries.split()
}


def is_card(digits: str) -> bool:
    """A payment card's number: 13 to 19 digits of a known scheme with a right check digit.

    The schemes' leading digits keep time stamps (which start with 1) and most order numbers out.

    Source: ISO/IEC 7812-1, annex B (Luhn); the schemes' published ranges.
    """
    return bool(_CARD_BRANDS.fullmatch(digits)) and len(set(digits)) > 1 and luhn(digits)


def _ibans(text: str) -> list[tuple[int, int]]:
    """By the country's length. Source: ISO 13616-1, and SWIFT's registry for the lengths."""
    spans: list[tuple[int, int]] = []
    for start in _IBAN_START.finditer(text):
        rest = _IBAN_REST.get(start[0][:2].upper())
        match = rest and rest.match(text, start.end())
        if match and (not spans or spans[-1][1] <= start.start()):
            bare = alphanumeric(text[start.start() : match.end()])
            if mod_97_10(bare[4:] + bare[:4]) == 1:
                spans.append((start.start(), match.end()))
    return spans


CARD = Entity(
    "CARD",
    BEFORE + r"[0-9](?:[ \u00a0\u202f-]?[0-9]){12}",
    matches_in_runs(_CARD_RUN, _CARD, lambda m: is_card(digits_of(m[0]))),
)
CARD_IN_A_LIST = Entity(
    "CARD", CARD.prefilter, matches_in_runs(_CARD_RUN, _CARD_IN_A_LIST, lambda m: is_card(digits_of(m[0])))
)
"""In the usual groups, where the next number follows after a blank."""
IBAN = Entity("IBAN", BEFORE + r"[A-Za-z]{2}[0-9]{2}(?:[ \u00a0-]?[0-9A-Za-z]){11}", _ibans, in_ids=True)
