"""Whether a national id's digits fit together: its date of birth is one, and its check digit or letter is right.

Each takes the id without separators, in capitals, in the shape that `national_ids` asks. `Source` names the body that
sets the rule; the sums are as published there.
"""

from calendar import monthrange

from clworkbench.policy.entities.checksums import luhn, mod_11_10, verhoeff, weighted

_DNI_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
_HETU_LETTERS = "0123456789ABCDEFHJKLMNPRSTUVWXY"
_CF_ODD = dict(zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", (
    1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10,
    22, 25, 24, 23,
), strict=True))  # fmt: skip
_CURP_LETTERS = "0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ"


def is_date(year: str, month: str, day: str) -> bool:
    """Whether a day of some year of the 1900s or 2000s; two digits of a year may be of either."""
    y, m, d = int(year), int(month), int(day)
    years = (y,) if len(year) == 4 else (1900 + y, 2000 + y)
    return 1 <= m <= 12 and all(1800 <= y < 2100 for y in years) and 1 <= d <= max(monthrange(y, m)[1] for y in years)


def spain(text: str) -> bool:
    """DNI and NIE. Source: Ministerio del Interior."""
    number = text[:-1].translate(str.maketrans("XYZ", "012"))
    return _DNI_LETTERS[int(number) % 23] == text[-1]


def france(text: str) -> bool:
    """NIR with its key; Corsica's 2A and 2B count as 19 and 18. Source: INSEE."""
    number = text[:13].replace("2A", "19").replace("2B", "18")
    return number.isdigit() and 97 - int(number) % 97 == int(text[13:])


def italy(text: str) -> bool:
    """Codice fiscale. Source: Decreto 23 dicembre 1976."""
    even = (int(c) if c.isdigit() else ord(c) - 65 for c in text[1:15:2])
    return chr(65 + (sum(_CF_ODD[c] for c in text[0:15:2]) + sum(even)) % 26) == text[15]


def belgium(text: str) -> bool:
    """Rijksregisternummer; a 2 stands before the number of those born since 2000. Source: IBZ."""
    check = 97 - int(text[9:])
    return check in (int(text[:9]) % 97, int("2" + text[:9]) % 97) and int(text[2:4]) % 20 <= 12


def netherlands(text: str) -> bool:
    """BSN, the eleven test. Source: Rijksdienst voor Identiteitsgegevens."""
    return int(text) > 0 and weighted(text, 9, 8, 7, 6, 5, 4, 3, 2, -1) % 11 == 0


def poland(text: str) -> bool:
    """PESEL; the month tells the century. Source: Ministerstwo Cyfryzacji."""
    dated = is_date(text[:2], f"{int(text[2:4]) % 20:02}", text[4:6])
    return dated and weighted(text, 1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1) % 10 == 0


def sweden(text: str) -> bool:
    """Personnummer; of coordination numbers the day is 60 more. Source: Skatteverket."""
    short = text[-10:]
    return is_date(short[:2], short[2:4], f"{int(short[4:6]) % 60:02}") and luhn(short)


def finland(text: str) -> bool:
    """Henkilötunnus. Source: Digi- ja väestötietovirasto."""
    return is_date(text[4:6], text[2:4], text[:2]) and _HETU_LETTERS[int(text[:6] + text[-4:-1]) % 31] == text[-1]


def norway(text: str) -> bool:
    """Fødselsnummer; of D numbers the day is 40 more. Source: Skatteetaten."""
    dated = is_date(text[4:6], f"{int(text[2:4]) % 40:02}", f"{int(text[:2]) % 40:02}")
    first = weighted(text, 3, 7, 6, 1, 8, 9, 4, 5, 2, 1)
    return dated and first % 11 == 0 and weighted(text, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1) % 11 == 0


def denmark(text: str) -> bool:
    """CPR; its check digit no longer holds since 2007. Source: CPR-kontoret."""
    return is_date(text[4:6], text[2:4], text[:2])


def germany(text: str) -> bool:
    """Steuerliche Identifikationsnummer: one digit of the first ten occurs two or three times. Source: BZSt."""
    repeated = sorted(text[:10].count(d) for d in set(text[:10]))
    return text[0] != "0" and repeated[-1] in (2, 3) and repeated[:-1] == [1] * (len(repeated) - 1) and mod_11_10(text)


def switzerland(text: str) -> bool:
    """AHV number, an EAN-13. Source: Zentrale Ausgleichsstelle."""
    return weighted(text, *(1, 3) * 6, 1) % 10 == 0


def czechia(text: str) -> bool:
    """Rodné číslo of ten digits, also Slovakia's; a woman's month is 50 more. Source: Ministerstvo vnitra."""
    month = int(text[2:4]) % 50
    dated = is_date(text[:2], f"{month if month <= 12 else month - 20:02}", text[4:6])
    return dated and int(text[:9]) % 11 % 10 == int(text[9])


def croatia(text: str) -> bool:
    """OIB. Source: Porezna uprava."""
    return mod_11_10(text)


def romania(text: str) -> bool:
    """CNP. Source: Direcția pentru Evidența Persoanelor."""
    check = weighted(text, 2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9) % 11
    return (
        text[0] != "0" and is_date(text[1:3], text[3:5], text[5:7]) and (1 if check == 10 else check) == int(text[12])
    )


def portugal(text: str) -> bool:
    """NIF. Source: Autoridade Tributária."""
    check = (11 - weighted(text, 9, 8, 7, 6, 5, 4, 3, 2) % 11) % 11
    return text[0] in "123" and check % 10 == int(text[8])


def ireland(text: str) -> bool:
    """PPS number. Source: Department of Social Protection."""
    second = text[8] if len(text) == 9 else "W"
    total = weighted(text, 8, 7, 6, 5, 4, 3, 2) + 9 * (0 if second == "W" else ord(second) - 64)
    return "WABCDEFGHIJKLMNOPQRSTUV"[total % 23] == text[7]


def brazil_person(text: str) -> bool:
    """CPF. Source: Receita Federal."""
    first = weighted(text, *range(10, 1, -1)) * 10 % 11 % 10
    second = weighted(text, *range(11, 1, -1)) * 10 % 11 % 10
    return len(set(text)) > 1 and text[9:] == f"{first}{second}"


def brazil_company(text: str) -> bool:
    """CNPJ of digits. Source: Receita Federal."""
    weights = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)
    first = -weighted(text, *weights[1:]) % 11 % 10
    second = -weighted(text, *weights) % 11 % 10
    return len(set(text)) > 1 and text[12:] == f"{first}{second}"


def chile(text: str) -> bool:
    """RUT. Source: Servicio de Impuestos Internos."""
    total = sum(int(d) * (2 + n % 6) for n, d in enumerate(reversed(text[:-1])))
    return "0K987654321"[total % 11] == text[-1]


def mexico(text: str) -> bool:
    """CURP. Source: RENAPO."""
    total = sum((18 - n) * _CURP_LETTERS.index(c) for n, c in enumerate(text[:17]))
    return is_date(text[4:6], text[6:8], text[8:10]) and -total % 10 == int(text[17])


def india(text: str) -> bool:
    """Aadhaar. Source: UIDAI."""
    return text != text[::-1] and verhoeff(text)


def uk_insurance(text: str) -> bool:
    """NINO: some prefixes are never given. Source: HMRC, NIM39110."""
    return text[:2] not in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ")


def uk_health(text: str) -> bool:
    """NHS number. Source: NHS Data Model and Dictionary."""
    return len(set(text)) > 1 and weighted(text, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1) % 11 == 0


def canada(text: str) -> bool:
    """SIN. Source: Service Canada."""
    return text[0] not in "08" and luhn(text)


def australia(text: str) -> bool:
    """TFN of nine digits. Source: Australian Taxation Office."""
    return weighted(text, 1, 4, 3, 7, 5, 8, 6, 9, 10) % 11 == 0


def turkey(text: str) -> bool:
    """Kimlik number. Source: NVI, the population office."""
    digits = [int(d) for d in text]
    tenth = (7 * sum(digits[0:9:2]) - sum(digits[1:8:2])) % 10
    return text[0] != "0" and digits[9] == tenth and digits[10] == sum(digits[:10]) % 10


def china(text: str) -> bool:
    """Resident identity number. Source: GB 11643-1999, ISO/IEC 7064 (mod 11-2)."""
    total = sum(int(d) * pow(2, 17 - n, 11) for n, d in enumerate(text[:17]))
    return is_date(text[6:10], text[10:12], text[12:14]) and "10X98765432"[total % 11] == text[17]


def korea(text: str) -> bool:
    """Resident registration number; since 2020 only its date can be checked. Source: Ministry of the Interior."""
    return is_date(text[:2], text[2:4], text[4:6])


def singapore(text: str) -> bool:
    """NRIC and FIN of the S, T, F and G series. Source: none official; the rule as it is commonly given."""
    total = weighted(text[1:8], 2, 7, 6, 5, 4, 3, 2) + (4 if text[0] in "TG" else 0)
    return ("JZIHGFEDCBA" if text[0] in "ST" else "XWUTRQPNMLK")[total % 11] == text[8]


def south_africa(text: str) -> bool:
    """Identity number. Source: Department of Home Affairs."""
    return is_date(text[:2], text[2:4], text[4:6]) and luhn(text)


def japan(text: str) -> bool:
    """My Number. Source: Digital Agency."""
    total = weighted(text, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2) % 11
    return (0 if total <= 1 else 11 - total) == int(text[11])


def any_number(text: str) -> bool:
    """No check digit: the shape is all there is."""
    return bool(text)
