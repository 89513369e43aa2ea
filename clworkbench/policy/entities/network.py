"""IP addresses, told from versions, section numbers, code and times of day."""

import re
from ipaddress import AddressValueError, IPv6Address

from clworkbench.policy.entities.entity import Entity, matches_in_runs

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])"
_IPV4 = re.compile(rf"(?<![0-9A-Za-z_.])(?<![A-Za-z]/)(?:{_OCTET}\.){{3}}{_OCTET}(?![0-9A-Za-z_]|\.[0-9])")
_IPV4_RUN = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9.]*")
_IPV6 = re.compile(
    rf"(?<![0-9A-Za-z_:.])(?:[0-9A-Fa-f]{{0,4}}:){{2,8}}"
    rf"(?:{_OCTET}(?:\.{_OCTET}){{3}}|[0-9A-Fa-f]{{0,4}})(?![0-9A-Za-z_:]|\.[0-9])"
)
_VERSION_WORDS = (
    *("version", "ver", "ver.", "release", "section", "§", "chapter", "build"),
    *("chrome", "chromium", "edge", "firefox", "opera", "safari", "windows"),
)


def _is_ipv4(match: re.Match[str]) -> bool:
    before = match.string[max(0, match.start() - 12) : match.start()].rstrip()
    return not before.rstrip(":=").lower().endswith(_VERSION_WORDS)


def _is_ipv6(text: str) -> bool:
    """Long enough not to be code (`a::b`) or a time of day. Source: RFC 4291, 2.2."""
    try:
        IPv6Address(text)
    except AddressValueError:
        return False
    return sum(c != ":" for c in text) >= 4 and any(c.isdigit() for c in text)


def _ipv6(text: str) -> list[tuple[int, int]]:
    spans = []
    for match in _IPV6.finditer(text):
        start, end = match.span()
        if match[0].endswith(":") and not match[0].endswith("::"):
            end -= 1  # punctuation, not half of a `::`
        if _is_ipv6(text[start:end]):
            spans.append((start, end))
    return spans


def _one_spelling(text: str) -> str:
    try:
        return str(IPv6Address(text))
    except AddressValueError:
        return text


IPV6 = Entity(
    "IP",
    r"::[0-9A-Fa-f]|[0-9A-Fa-f]::|(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]",
    _ipv6,
    normal=_one_spelling,
    in_ids=True,
)
IPV4 = Entity(
    "IP",
    r"(?:^|[^0-9A-Za-z_./]|[^A-Za-z]/|\\[bfnrt]|\\u[0-9A-Fa-f]{4})[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]",
    matches_in_runs(_IPV4_RUN, _IPV4, _is_ipv4),
    normal=str,
    in_ids=True,
)
