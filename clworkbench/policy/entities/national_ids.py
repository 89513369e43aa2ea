"""Numbers that a state gives its people: by shape and check digit alone where that is telling, else beside a word."""

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from clworkbench.policy.entities import id_checks as check
from clworkbench.policy.entities.entity import BEFORE, DIGITS, Entity, alphanumeric, matches
from clworkbench.policy.entities.finance import is_card


class NationalId(NamedTuple):
    """One number: its shape, whether its digits fit together, what it is called, and the words it must stand beside."""

    shape: str
    fits: Callable[[str], bool]
    name: str
    words: str = ""


TELLING = (
    NationalId(
        r"[1-478] ?\d\d ?\d\d ?(?:\d\d|2[AB]) ?\d{3} ?\d{3} ?\d\d",
        lambda text: check.france(text) and not is_card(text),
        "France, NIR",
    ),
    NationalId(r"[1-8]\d{5}(?:18|19|20)\d{9}[0-9Xx]", check.china, "China, resident identity"),
    NationalId(r"756(?:\.\d{4}\.\d{4}\.\d\d|\d{10})", check.switzerland, "Switzerland, AHV"),
    NationalId(r"\d\d\.\d{3}\.\d{3}/\d{4}-\d\d", check.brazil_company, "Brazil, CNPJ"),
    NationalId(r"\d{3}\.\d{3}\.\d{3}-\d\d", check.brazil_person, "Brazil, CPF"),
    NationalId(r"\d\d\.\d\d\.\d\d-\d{3}\.\d\d", check.belgium, "Belgium, rijksregisternummer"),
    NationalId(r"[0-7]\d{5} ?\d{5}", check.norway, "Norway, fødselsnummer"),
    NationalId(r"\d{6}-[1-8]\d{6}", check.korea, "South Korea, RRN"),
    NationalId(r"(?:19|20)?\d{6}[-+]\d{4}", check.sweden, "Sweden, personnummer"),
    NationalId(r"[0-3]\d[01]\d{3}-\d{4}", check.denmark, "Denmark, CPR"),
    NationalId(r"[0-3]\d[01]\d{3}[-+A-FU-Y]\d{3}[0-9A-FHJ-NPR-Y]", check.finland, "Finland, henkilötunnus"),
    NationalId(r"\d{6}/\d{4}", check.czechia, "Czechia and Slovakia, rodné číslo"),
    NationalId(r"[2-9]\d{3} \d{4} \d{4}|[2-9]\d{3}-\d{4}-\d{4}", check.india, "India, Aadhaar"),
    NationalId(r"(?:\d{8}|\d\d\.\d{3}\.\d{3})[ -]?[A-HJ-NP-TV-Z]", check.spain, "Spain, DNI"),
    NationalId(r"[XYZ][ -]?\d{7}[ -]?[A-HJ-NP-TV-Z]", check.spain, "Spain, NIE"),
    NationalId(r"\d{1,2}\.\d{3}\.\d{3}-[0-9Kk]", check.chile, "Chile, RUT"),
    NationalId(
        r"[A-Za-z]{6}[0-9LMNP-Vlmnp-v]{2}[A-EHLMPR-Ta-ehlmpr-t][0-9LMNP-Vlmnp-v]{2}[A-Za-z][0-9LMNP-Vlmnp-v]{3}[A-Za-z]",
        check.italy,
        "Italy, codice fiscale",
    ),
    NationalId(r"[A-Z][AEIOUX][A-Z]{2}\d{6}[HMX][A-Z]{2}[B-DF-HJ-NP-TV-Z]{3}[0-9A-Z]\d", check.mexico, "Mexico, CURP"),
    NationalId(r"[STFG]\d{7}[A-Z]", check.singapore, "Singapore, NRIC"),
    NationalId(r"[A-Z]{3}P[A-Z]\d{4}[A-Z]", check.any_number, "India, a person's PAN"),
    NationalId(
        r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D]", check.uk_insurance, "United Kingdom, NINO"
    ),
)
"""Told by shape and check alone: in text without any, one shape in a hundred or fewer fits by chance."""

BESIDE_A_WORD = (
    NationalId(r"\d{9}", check.netherlands, "Netherlands, BSN", r"bsn|burgerservicenummer|sofi-?nummer"),
    NationalId(r"\d{11}", check.poland, "Poland, PESEL", r"pesel"),
    NationalId(
        r"\d{11}", check.belgium, "Belgium", r"rijksregister(?:nummer)?|registre national|nationaal nummer|niss|insz"
    ),
    NationalId(
        r"\d\d ?\d{3} ?\d{3} ?\d{3}",
        check.germany,
        "Germany, IdNr",
        r"steuer-?id(?:entifikations)?(?:nummer|nr)?|identifikationsnummer|id-?nr|idnr",
    ),
    NationalId(r"\d{11}", check.turkey, "Türkiye, kimlik", r"kimlik|tckn|t\.?c\.? ?no|tc"),
    NationalId(r"\d{11}", check.croatia, "Croatia, OIB", r"oib"),
    NationalId(r"\d{13}", check.romania, "Romania, CNP", r"cnp|cod numeric"),
    NationalId(r"\d{9}|\d{3} \d{3} \d{3}", check.portugal, "Portugal, NIF", r"nif|contribuinte"),
    NationalId(r"\d{7}[A-Wa-w][A-IWa-iw]?", check.ireland, "Ireland, PPS", r"ppsn?|personal public service"),
    NationalId(r"\d{10}", check.czechia, "Czechia and Slovakia", r"rodn[eé]"),
    NationalId(r"\d{10}|\d{12}", check.sweden, "Sweden", r"personnummer|personnr"),
    NationalId(r"\d{10}|\d{6} \d{4}", check.denmark, "Denmark", r"cpr"),
    NationalId(r"\d{3}[ -]?\d{3}[ -]?\d{4}", check.uk_health, "United Kingdom, NHS", r"nhs"),
    NationalId(r"\d{3}[ -]?\d{3}[ -]?\d{3}", check.canada, "Canada, SIN", r"sin|social insurance|nas"),
    NationalId(r"\d{3} ?\d{3} ?\d{3}", check.australia, "Australia, TFN", r"tfn|tax file"),
    NationalId(r"\d{11}", check.brazil_person, "Brazil", r"cpf"),
    NationalId(r"\d{14}", check.brazil_company, "Brazil", r"cnpj"),
    NationalId(r"\d{7,8}-?[0-9Kk]", check.chile, "Chile", r"rut"),
    NationalId(r"\d{12}", check.india, "India", r"aadhaar|aadhar|uidai"),
    NationalId(r"\d{13}|\d{6} \d{4} \d{3}", check.south_africa, "South Africa", r"rsa id|sa id|south african id"),
    NationalId(r"\d{4} ?\d{4} ?\d{4}", check.japan, "Japan, My Number", r"my number|マイナンバー|個人番号"),
)
"""Digits that fit by chance too often to go by the check alone."""

_ANY_ID = (
    r"national (?:id|identification|identity)|(?:identity|identification) (?:card|number|no)"
    r"|tax(?:payer)? (?:id|number)|tin"
)
"""Words beside which each of them may stand."""
_NOT_WITHIN = r"(?<![0-9A-Za-z_])(?<![0-9]\.)(?<![0-9A-Za-z][+-])"
_NOT_GOING_ON = r"(?![0-9A-Za-z_]|\.[0-9]|[+-][0-9A-Za-z]|/[0-9]{1,2}/[0-9])"
_NOT_AFTER_FOUR, _NOT_BEFORE_FOUR = r"(?<![0-9]{4} )", r"(?! [0-9]{4}\b)"
"""Of groups of four, three may be part of a card's four."""


def _ascii(shape: str) -> str:
    return shape.replace(r"\d", "[0-9]")


def _whole(shape: str) -> re.Pattern[str]:
    """The shape where it is no part of a longer number; commas and slashes part values, as in a row of a table."""
    pattern = f"{_NOT_WITHIN}(?:{_ascii(shape)}){_NOT_GOING_ON}"
    in_fours = r"\d{4} " in shape
    return re.compile(f"{_NOT_AFTER_FOUR}{pattern}{_NOT_BEFORE_FOUR}" if in_fours else pattern)


_BESIDE = [
    (
        _whole(i.shape),
        i.fits,
        re.compile(rf"(?i)\b(?:{i.words}|{_ANY_ID})\b[^\[\]]{{0,30}}$"),
    )
    for i in BESIDE_A_WORD
]
_WORDS = rf"(?i:(?-u:\b)(?:{'|'.join([_ANY_ID, *(i.words for i in BESIDE_A_WORD)])})(?-u:\b))|ナンバー|個人番号"
_WORD_AT_MOST = 60


def _beside(text: str) -> list[tuple[int, int]]:
    return _apart(
        m.span()
        for pattern, fits, word in _BESIDE
        for m in pattern.finditer(text)
        if fits(alphanumeric(m[0])) and word.search(text, max(0, m.start() - _WORD_AT_MOST), m.start())
    )


def _apart(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """In order and without overlap."""
    kept: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if not kept or start >= kept[-1][1]:
            kept.append((start, end))
    return kept


_SSN_GROUPS = r"(?!000|666|9)[0-9]{3}(?P<sep>[ -]?)(?!00)[0-9]{2}(?P=sep)(?!0000)[0-9]{4}"
_SSN = re.compile(rf"{_NOT_WITHIN}(?=[0-9]{{3}}-){_SSN_GROUPS}{_NOT_GOING_ON}")
_SSN_WORD = re.compile(r"(?i)\b(?:ssn|social security|social|ss#)[^0-9\n\[\]]{0,30}$")
_SSN_LOOSE = re.compile(f"{_NOT_WITHIN}{_SSN_GROUPS}{_NOT_GOING_ON}")


def _after_ssn_word(match: re.Match[str]) -> bool:
    start = match.start()
    return _SSN_WORD.search(match.string, max(0, start - _WORD_AT_MOST), start) is not None


SSN = Entity("SSN", BEFORE + r"[0-9]{3}-[0-9]{2}-[0-9]{4}", matches(_SSN))
"""By the rules for area, group and serial number. Source: Social Security Administration, RM 10201.030."""
SSN_AFTER_WORD = Entity("SSN", DIGITS, matches(_SSN_LOOSE, _after_ssn_word), beside=r"(?i-u:ssn|social|ss#)")


def _by_itself(one: NationalId) -> Entity:
    find = matches(_whole(one.shape), lambda m: one.fits(alphanumeric(m[0])))
    return Entity("NATIONAL_ID", _ANY_TELLING, find, beside=_ascii(one.shape))


_ANY_TELLING = f"{BEFORE}(?:{'|'.join(dict.fromkeys(_ascii(i.shape) for i in TELLING))})(?:[^0-9A-Za-z_]|$)"
NIR, *_OTHERS = map(_by_itself, TELLING)
"""The French one is longer than the card that twelve in 400 hold, and looked for before cards."""
NATIONAL_IDS = tuple(_OTHERS)
NATIONAL_ID_BESIDE_WORD = Entity("NATIONAL_ID", DIGITS, _beside, beside=_WORDS)

_KEY = re.compile(
    r"(?i)(?:^|[._\s-])(?:ssn|social[ ._-]?security|bsn|nino|nhs|cpf|pesel|personnummer|passport"
    r"|(?:steuer|tax|national)[ ._-]?(?:id|identification)|steuer[ ._-]?nummer)(?:[ ._-]?(?:no|nr|number))?$"
)
_VALUE = re.compile(r"[0-9A-Za-z][0-9A-Za-z ./-]{5,19}")


def is_national_id_key(key: str) -> bool:
    """Whether what stands under this key is a national id or a passport's number: `ssn`, `tax_id`, `passport`."""
    return _KEY.search(key) is not None


def is_national_id_value(value: str) -> bool:
    """A whole value under such a key: 6 to 20 letters, digits and separators, five digits at least."""
    return _VALUE.fullmatch(value) is not None and sum(char.isdigit() for char in value) >= 5
