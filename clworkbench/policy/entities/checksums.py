"""Check digits: the sums by which standards tell a number from a mistyped one."""

_DOUBLED = str.maketrans("0123456789", "0246813579")
_LETTERS = {ord(letter): str(n) for n, letter in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZ", 10)}
_VERHOEFF_PRODUCT = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_VERHOEFF_PLACE = (
    "0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415", "7046913258",
)  # fmt: skip


def luhn(digits: str) -> bool:
    """Source: ISO/IEC 7812-1, annex B."""
    return (sum(map(int, digits[-1::-2])) + sum(map(int, digits[-2::-2].translate(_DOUBLED)))) % 10 == 0


def mod_97_10(text: str) -> int:
    """The remainder by 97, letters as 10 to 35. Source: ISO/IEC 7064."""
    return int(text.translate(_LETTERS)) % 97


def mod_11_10(digits: str) -> bool:
    """Source: ISO/IEC 7064, hybrid system."""
    check = 5
    for d in digits:
        check = (((check or 10) * 2) % 11 + int(d)) % 10
    return check == 1


def verhoeff(digits: str) -> bool:
    """Source: Verhoeff 1969, the dihedral group's tables."""
    check = 0
    for place, d in enumerate(reversed(digits)):
        check = int(_VERHOEFF_PRODUCT[check][int(_VERHOEFF_PLACE[place % 8][int(d)])])
    return check == 0


def weighted(digits: str, *weights: int) -> int:
    """The sum of the first digits, each times its weight."""
    return sum(int(d) * w for d, w in zip(digits, weights, strict=False))
