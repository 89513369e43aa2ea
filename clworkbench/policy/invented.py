"""Personal data that nobody has: values with right check digits, in the spellings in which people write them."""

from collections.abc import Callable, Mapping
from random import Random
from string import ascii_letters, ascii_lowercase, ascii_uppercase, digits

Make = Callable[[Random], str]

_ALPHANUMERIC = ascii_letters + digits
_TEMPLATE = {"#": digits, "%": digits[1:], "^": ascii_uppercase, "~": ascii_lowercase, "*": _ALPHANUMERIC}
"""What a template's characters stand for; all others are themselves."""


def filled(template: str, rng: Random) -> str:
    """A template with its places filled: `#` a digit, `%` one from 1, `^` and `~` a letter, `*` either."""
    return "".join(rng.choice(_TEMPLATE.get(char, char)) for char in template)


def _any_of(*templates: str) -> Make:
    return lambda rng: filled(rng.choice(templates), rng)


def _luhn(number: str) -> str:
    """The number with its check digit. Source: ISO/IEC 7812-1, annex B."""
    total = sum(int(d) if place % 2 else sum(divmod(2 * int(d), 10)) for place, d in enumerate(reversed(number)))
    return number + str(-total % 10)


def _weighed(number: str, *weights: int) -> int:
    return sum(int(d) * w for d, w in zip(number, weights, strict=True))


def _in_groups(text: str, *sizes: int, by: str = " ") -> str:
    done, at = [], 0
    for size in sizes:
        done.append(text[at : at + size])
        at += size
    return by.join([*done, text[at:]] if at < len(text) else done)


def _card(prefixes: str, length: int, *sizes: int, by: str = " ") -> Make:
    def make(rng: Random) -> str:
        prefix = rng.choice(prefixes.split())
        number = _luhn(prefix + filled("#" * (length - len(prefix) - 1), rng))
        return _in_groups(number, *sizes, by=by) if sizes else number

    return make


def _iban(country: str, account: str, *, by: str = "", lower: bool = False) -> Make:
    """An IBAN over an account number's template. Source: ISO 13616-1; the registry's national structures."""

    def make(rng: Random) -> str:
        bare = filled(account, rng)
        check = 98 - int("".join(str(int(c, 36)) for c in f"{bare}{country}00")) % 97
        whole = f"{country}{check:02d}{bare}"
        spelt = by.join(whole[at : at + 4] for at in range(0, len(whole), 4))
        return spelt.lower() if lower else spelt

    return make


def _birthday(rng: Random, form: str) -> str:
    year, month, day = rng.randint(1940, 1999), rng.randint(1, 12), rng.randint(1, 28)
    parts = {"Y": f"{year}", "y": f"{year % 100:02d}", "m": f"{month:02d}", "d": f"{day:02d}"}
    return "".join(parts[char] for char in form)


def _spanish(rng: Random) -> str:
    number = filled("########", rng)
    return number + "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23]


def _spanish_foreigner(rng: Random) -> str:
    first, number = rng.choice("XYZ"), filled("#######", rng)
    return f"{first}{number}" + "TRWAGMYFPDXBNJZSQVHLCKE"[int(f"{'XYZ'.index(first)}{number}") % 23]


def _italian(rng: Random) -> str:
    """Source: decree of the Ministry of Finance of 23 December 1976, annex 1."""
    consonants = "BCDFGLMNPRSTVZ"
    letters = "".join(rng.choice(consonants) for _ in range(6))
    bare = letters + filled("##", rng) + rng.choice("ABCDEHLMPRST") + f"{rng.randint(1, 28):02d}H" + filled("%##", rng)
    odd = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
    worth = [int(c) if c.isdigit() else ord(c) - 65 for c in bare]
    return bare + chr(65 + sum(odd[w] if place % 2 == 0 else w for place, w in enumerate(worth)) % 26)


def _polish(rng: Random) -> str:
    bare = _birthday(rng, "ymd") + filled("####", rng)
    return bare + str(-_weighed(bare, 1, 3, 7, 9, 1, 3, 7, 9, 1, 3) % 10)


def _dutch(rng: Random) -> str:
    while True:
        bare = filled("%#######", rng)
        if (check := _weighed(bare, 9, 8, 7, 6, 5, 4, 3, 2) % 11) < 10:
            return f"{bare}{check}"


def _french(rng: Random) -> str:
    bare = (
        rng.choice("12") + _birthday(rng, "ym") + f"{rng.randint(1, 95):02d}" + filled("%##", rng) + filled("###", rng)
    )
    bare = bare[:5] + bare[5:7].replace("20", "21") + bare[7:]  # 20 was Corsica's
    return _in_groups(f"{bare}{97 - int(bare) % 97:02d}", 1, 2, 2, 2, 3, 3, 2)


def _german_tax(rng: Random) -> str:
    """Ten digits, one of them twice, and a check digit. Source: BZSt; ISO/IEC 7064, mod 11,10."""
    chosen = rng.sample(digits, 9)
    chosen.append(chosen[0])
    while True:
        rng.shuffle(chosen)
        if chosen[0] != "0":
            break
    product = 10
    for digit in chosen:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return _in_groups("".join(chosen) + str((11 - product) % 10), 2, 3, 3, 3)


def _belgian(rng: Random) -> str:
    bare = _birthday(rng, "ymd") + filled("0##", rng)
    check = f"{97 - int(bare) % 97:02d}"
    return f"{bare[:2]}.{bare[2:4]}.{bare[4:6]}-{bare[6:]}.{check}"


def _brazilian(rng: Random) -> str:
    bare = filled("#########", rng)
    for most in (10, 11):
        rest = _weighed(bare, *range(most, 1, -1)) % 11
        bare += str(0 if rest < 2 else 11 - rest)
    return f"{bare[:3]}.{bare[3:6]}.{bare[6:9]}-{bare[9:]}"


def _chinese(rng: Random) -> str:
    """Source: GB 11643-1999 (ISO/IEC 7064, mod 11-2)."""
    bare = rng.choice(("110101", "310104", "440106")) + _birthday(rng, "Ymd") + filled("###", rng)
    return bare + "10X98765432"[_weighed(bare, *(2**n % 11 for n in range(17, 0, -1))) % 11]


def _indian(rng: Random) -> str:
    """Source: Verhoeff 1969, with the dihedral group's product written out."""
    bare = rng.choice("23456789") + filled("##########", rng)
    place = [list(range(10)), [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]]
    for _ in range(6):
        place.append([place[1][d] for d in place[-1]])

    def product(a: int, b: int) -> int:
        turned = (a + b) % 5 if a < 5 and b < 5 else (a - b) % 5 if a >= 5 and b >= 5 else 0
        if a < 5 <= b:
            return 5 + (a + b) % 5
        return 5 + (a - b) % 5 if b < 5 <= a else turned

    check = 0
    for n, digit in enumerate(reversed(bare), 1):
        check = product(check, place[n % 8][int(digit)])
    whole = bare + str(next(d for d in range(10) if product(check, d) == 0))
    return _in_groups(whole, 4, 4, 4)


def _british_insurance(rng: Random) -> str:
    pair = rng.choice("ABCEHJKLMPRSTWXY") + rng.choice("ABCEHJKLMPRSTWXY")
    pair = "AB" if pair in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ") else pair
    return _in_groups(pair + filled("######", rng) + rng.choice("ABCD"), 2, 2, 2, 2, 1)


def _british_health(rng: Random) -> str:
    while True:
        bare = rng.choice("4679") + filled("########", rng)
        if (check := -_weighed(bare, 10, 9, 8, 7, 6, 5, 4, 3, 2) % 11) < 10:
            return _in_groups(f"{bare}{check}", 3, 3, 4)


def _swedish(rng: Random) -> str:
    whole = _luhn(_birthday(rng, "ymd") + filled("###", rng))
    return f"{whole[:6]}-{whole[6:]}"


def _finnish(rng: Random) -> str:
    born, number = _birthday(rng, "dmy"), f"{rng.randint(2, 899):03d}"
    return f"{born}-{number}" + "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(born + number) % 31]


def _canadian(rng: Random) -> str:
    return _in_groups(_luhn(rng.choice("1234567") + filled("#######", rng)), 3, 3, 3)


def _swiss(rng: Random) -> str:
    bare = "756" + filled("#########", rng)
    check = -sum(int(d) * (3 if place % 2 else 1) for place, d in enumerate(bare)) % 10
    return f"756.{bare[3:7]}.{bare[7:11]}.{bare[11]}{check}"


def _us_social(by: str) -> Make:
    def make(rng: Random) -> str:
        area = rng.choice([n for n in range(1, 900) if n != 666])
        return by.join([f"{area:03d}", f"{rng.randint(1, 99):02d}", f"{rng.randint(1, 9999):04d}"])

    return make


def _token(*alphabets: tuple[str, int]) -> Make:
    """A prefix and random characters: (text, 0) as it is, (alphabet, n) drawn n times."""
    return lambda rng: "".join(text if not n else "".join(rng.choices(text, k=n)) for text, n in alphabets)


_HEX = digits + "abcdef"
_PEOPLE = ("anna", "j.smith", "maria-lopez", "o.brien", "li.wei", "k_mueller", "fatima.zahra", "info+orders", "p2rk")
_HOSTS = (
    "example.com",
    "mail.example.org",
    "firma.example",
    "uni-example.de",
    "example.co.uk",
    "exemple.fr",
    "a.example.io",
)


def _email(rng: Random) -> str:
    return f"{rng.choice(_PEOPLE)}{rng.choice(['', str(rng.randint(2, 99))])}@{rng.choice(_HOSTS)}"


def _ipv6(rng: Random) -> str:
    return ":".join(f"{rng.randint(1, 0xFFFF):x}" for _ in range(8))


PHONES: Mapping[str, tuple[str, ...]] = {
    "Argentina": ("+54 9 11 5###-####", "(011) 4###-####"),
    "Australia": ("04## ### ###", "(02) 5550 ####", "+61 4## ### ###"),
    "Austria": ("+43 1 ### ## ##", "0664 #######"),
    "Belgium": ("04## ## ## ##", "+32 4## ## ## ##", "02 ### ## ##"),
    "Brazil": ("(11) 9####-####", "+55 11 9####-####"),
    "China": ("13# #### ####", "+86 13# #### ####"),
    "Czechia": ("+420 60# ### ###",),
    "Denmark": ("+45 %# ## ## ##",),
    "Finland": ("040 ### ####", "+358 40 ### ####"),
    "France": ("01 99 00 ## ##", "06.39.98.##.##", "+33 6 39 98 ## ##"),
    "Germany": ("030 23125 ###", "0171/39200##", "+49 (0)30 23125 ###", "+49 171 39200##", "0049 171 39200##"),
    "Greece": ("210 ### ####", "+30 210 ### ####"),
    "India": ("+91 98### #####", "098### #####"),
    "Ireland": ("087 ### ####", "+353 87 ### ####"),
    "Israel": ("050-###-####", "+972 50-###-####"),
    "Italy": ("06 ### ####", "+39 33# ### ####", "33# ### ####"),
    "Japan": ("03-####-####", "090-####-####", "+81 90-####-####"),
    "Korea": ("010-####-####", "+82 10-####-####"),
    "Mexico": ("55 #### ####", "+52 55 #### ####"),
    "Netherlands": ("06-########", "020-### ####", "+31 6 ########"),
    "Nigeria": ("080# ### ####", "+234 80# ### ####"),
    "Norway": ("+47 4## ## ###",),
    "Poland": ("+48 51# ### ###", "22 ### ## ##"),
    "Portugal": ("+351 91# ### ###", "91# ### ###"),
    "Russia": ("+7 (495) ###-##-##", "8 (495) ###-##-##", "8 912 ###-##-##"),
    "South Africa": ("082 ### ####", "+27 82 ### ####"),
    "Spain": ("6## ## ## ##", "+34 6## ### ###"),
    "Sweden": ("070-### ## ##", "08-### ### ##", "+46 70 ### ## ##"),
    "Switzerland": ("044 ### ## ##", "+41 79 ### ## ##"),
    "Türkiye": ("0532 ### ## ##", "+90 532 ### ## ##"),
    "United Kingdom": ("020 7946 0###", "07700 900###", "+44 20 7946 0###", "+44 (0)7700 900###"),
    "United States": ("(202) 555-01##", "202-555-01##", "+1 202 555 01##", "202.555.01##", "1-202-555-01##"),
}
"""National spellings; numbers set aside for fiction where a country has them. `#` and `%` are filled by chance."""

CARDS: Mapping[str, Make] = {
    "Visa": _card("4", 16, 4, 4, 4, 4),
    "Visa, no spaces": _card("4", 16),
    "Mastercard, hyphens": _card("51 53 55 2221 2720", 16, 4, 4, 4, 4, by="-"),
    "Mastercard, no spaces": _card("52 54", 16),
    "American Express": _card("34 37", 15, 4, 6, 5),
    "Diners Club": _card("300 305 36 38", 14, 4, 6, 4),
    "Discover": _card("6011 65", 16, 4, 4, 4, 4),
    "JCB": _card("3528 3589", 16),
    "UnionPay": _card("62", 16, 4, 4, 4, 4),
    "Maestro": _card("5018 6304", 16),
}
IBANS: Mapping[str, Make] = {
    "Germany": _iban("DE", "#" * 18, by=" "),
    "Germany, no spaces": _iban("DE", "#" * 18),
    "United Kingdom": _iban("GB", "^^^^" + "#" * 14, by=" "),
    "United Kingdom, lower case": _iban("GB", "^^^^" + "#" * 14, lower=True),
    "France": _iban("FR", "#" * 20 + "^##", by=" "),
    "Netherlands, hyphens": _iban("NL", "^^^^" + "#" * 10, by="-"),
    "Spain": _iban("ES", "#" * 20, by=" "),
    "Norway": _iban("NO", "#" * 11),
    "Poland, lower case": _iban("PL", "#" * 24, by=" ", lower=True),
    "Malta": _iban("MT", "^^^^" + "#" * 5 + "^#" * 9),
}
NATIONAL_IDS: Mapping[str, Make] = {
    "Belgium": _belgian,
    "Brazil": _brazilian,
    "Canada": _canadian,
    "China": _chinese,
    "Finland": _finnish,
    "France": _french,
    "Germany, tax": _german_tax,
    "India": _indian,
    "Italy": _italian,
    "Netherlands": _dutch,
    "Poland": _polish,
    "Spain": _spanish,
    "Spain, foreigners": _spanish_foreigner,
    "Sweden": _swedish,
    "Switzerland": _swiss,
    "United Kingdom, health": _british_health,
    "United Kingdom, insurance": _british_insurance,
}
ADDRESSES: Mapping[str, Make] = {
    "plain": _email,
    "capitals": lambda rng: _email(rng).upper(),
    "umlauts": lambda rng: f"jürgen.groß{rng.randint(1, 99)}@büro-example.de",
    "apostrophe": lambda rng: f"pat.o'neill{rng.randint(1, 99)}@example.ie",
}
IPS: Mapping[str, Make] = {
    "IPv4": lambda rng: ".".join(str(rng.randint(11, 223)) for _ in range(4)),
    "IPv6": _ipv6,
    "IPv6, capitals": lambda rng: _ipv6(rng).upper(),
    "IPv6, shortened": lambda rng: f"2001:db8::{rng.randint(0x1000, 0xFFFF):x}:{rng.randint(1, 0xFFFF):x}",
}
URLS: Mapping[str, Make] = {
    "password in an address": lambda rng: filled("https://~~~~~:********##@git.example.com/team/repo.git", rng),
    "password of a database": lambda rng: filled("postgresql://~~~~:~~##**^^@db.example.com:5432/orders", rng),
    "password of a queue": lambda rng: filled("amqp://~~~~:********@mq.example.com/main", rng),
}
KEYS: Mapping[str, Make] = {
    "AWS": _token(("AKIA", 0), (ascii_uppercase + "234567", 16)),
    "OpenAI": _token(("sk-proj-", 0), (_ALPHANUMERIC + "_-", 47), (_ALPHANUMERIC, 1)),
    "Anthropic": _token(("sk-ant-api03-", 0), (_ALPHANUMERIC + "_-", 92), (_ALPHANUMERIC, 1), ("AA", 0)),
    "GitHub": _token(("ghp_", 0), (_ALPHANUMERIC, 36)),
    "GitHub, fine-grained": _token(("github_pat_", 0), (_ALPHANUMERIC, 22), ("_", 0), (_ALPHANUMERIC, 59)),
    "GitLab": _token(("glpat-", 0), (_ALPHANUMERIC, 20)),
    "Google": _token(("AIza", 0), (_ALPHANUMERIC + "_-", 34), (_ALPHANUMERIC, 1)),
    "Hugging Face": _token(("hf_", 0), (ascii_letters, 34)),
    "npm": _token(("npm_", 0), (_ALPHANUMERIC, 36)),
    "SendGrid": _token(("SG.", 0), (_ALPHANUMERIC, 22), (".", 0), (_ALPHANUMERIC, 43)),
    "Slack": _token(("xoxb-", 0), (digits, 12), ("-", 0), (digits, 12), ("-", 0), (_ALPHANUMERIC, 24)),
    "Stripe": _token(("sk_live_", 0), (_ALPHANUMERIC, 24)),
    "Twilio": _token(("SK", 0), (_HEX, 32)),
    "web token": _token(
        ("eyJhbGciOiJIUzI1NiJ9.eyJ", 0), (_ALPHANUMERIC, 40), (".", 0), (_ALPHANUMERIC + "_-", 42), (_ALPHANUMERIC, 1)
    ),
}
SOCIALS: Mapping[str, Make] = {"hyphens": _us_social("-"), "spaces": _us_social(" ")}
PEOPLE: Mapping[str, Make] = {
    "English": lambda rng: (
        f"{rng.choice(('Emily', 'Jack', 'Olivia', 'Harry', 'Grace'))} "
        f"{rng.choice(('Thompson', 'Walker', 'Hughes', 'Bennett', 'Carter'))}"
    ),
    "from elsewhere": lambda rng: (
        f"{rng.choice(('Svenja', 'Ngozi', 'Rajesh', 'Yuki', 'Zeynep', 'Paweł', 'Inés'))} "
        f"{rng.choice(('Krüger', 'Okafor', 'Iyer', 'Tanaka', 'Demir', 'Nowak', 'Ortega'))}"
    ),
}
PLACES: Mapping[str, Make] = {
    "towns": lambda rng: rng.choice(
        ("Leeds", "Rotterdam", "Guadalajara", "Osaka", "Gdańsk", "Nairobi", "Pune", "Lyon")
    ),
    "streets": lambda rng: (
        f"{rng.randint(2, 180)} {rng.choice(('Oak', 'Mill', 'Station', 'Church'))} "
        f"{rng.choice(('Street', 'Road', 'Lane', 'Avenue'))}"
    ),
}
LOOKALIKES: Mapping[str, Make] = {
    "order number": _any_of("#########", "ORD-########", "%#####-###", "PO ##########"),
    "time stamp": _any_of("17########", "17###########", "2024-0%-1% 1#:2#:3#", "2025-0%-2%T0%:4#:5#Z"),
    "price": _any_of("%,###.##", "%#.### €", "$%,###,###.00", "%## ###,00"),
    "version": lambda rng: f"version {rng.randint(1, 9)}.{rng.randint(0, 99)}.{rng.randint(0, 9)}.{rng.randint(0, 9)}",
    "hash": _token((_HEX, 40)),
    "UUID": lambda rng: "-".join("".join(rng.choices(_HEX, k=n)) for n in (8, 4, 4, 4, 12)),
    "card with a wrong check digit": lambda rng: (
        (n := _luhn(filled("4##############", rng)))[:-1] + str((int(n[-1]) + rng.randint(1, 9)) % 10)
    ),
    "ISBN": lambda rng: filled("978-3-16-######-#", rng),
    "part number": _any_of("^^-####-^##", "^##.####.##", "~~-##/####"),
    "date": _any_of("1#/0%/202#", "2#.0%.202#", "0%-1#-202#"),
}
"""What looks like personal data and names nobody."""
