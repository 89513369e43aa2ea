"""Passwords in addresses and settings, and the keys and tokens of common vendors, told by their documented prefixes."""

import re
from base64 import b64decode

from clworkbench.policy.entities.entity import Entity, matches

_TOKENS = (
    r"sk-ant-[0-9A-Za-z_-]{20,}",  # Anthropic
    r"sk-(?:proj-|svcacct-|admin-|or-v1-)?[0-9A-Za-z_-]{20,}",  # OpenAI, and those that follow it
    r"(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}",  # AWS
    r"gh[opsur]_[0-9A-Za-z]{36,251}|github_pat_[0-9A-Za-z_]{50,244}",  # GitHub
    r"gl(?:pat|dt|rt|cbt|ptt|ft|soat|agent|oas)-[0-9A-Za-z_.-]{20,}",  # GitLab
    r"xox[abeoprs]-[0-9A-Za-z-]{10,}|xapp-[0-9]-[0-9A-Za-z-]{10,}",  # Slack
    r"AIza[0-9A-Za-z_-]{35}|ya29\.[0-9A-Za-z_-]{20,}|GOCSPX-[0-9A-Za-z_-]{28}",  # Google
    r"[rs]k_(?:live|test)_[0-9A-Za-z]{10,}|whsec_[0-9A-Za-z+/=]{24,}",  # Stripe
    r"hf_[0-9A-Za-z]{30,}",  # Hugging Face
    r"npm_[0-9A-Za-z]{36}",  # npm
    r"pypi-AgE[0-9A-Za-z_-]{40,}",  # PyPI
    r"SG\.[0-9A-Za-z_-]{16,32}\.[0-9A-Za-z_-]{16,64}",  # SendGrid
    r"(?:SK|AC)[0-9a-f]{32}",  # Twilio
    r"gsk_[0-9A-Za-z]{40,}|xai-[0-9A-Za-z]{40,}|r8_[0-9A-Za-z]{37}|pplx-[0-9A-Za-z]{40,}",  # Groq, xAI, Replicate
    r"dop_v1_[0-9a-f]{64}|dapi[0-9a-f]{32}|lsv2_[ps][kt]_[0-9a-f]{32}_[0-9a-f]{10}",  # DigitalOcean, Databricks
    r"shp(?:at|ca|pa|ss)_[0-9A-Fa-f]{32}|NRAK-[0-9A-Z]{27}|sq0[ac][st]p-[0-9A-Za-z_-]{22,43}",  # Shopify, Square
    r"eyJ[0-9A-Za-z_-]{8,}\.eyJ[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]*",  # a JSON web token (RFC 7519)
)
_TOKEN = re.compile(rf"(?<![0-9A-Za-z_])(?:{'|'.join(_TOKENS)})(?![0-9A-Za-z_])")

_PRIVATE_KEY = re.compile(
    r"-----BEGIN (?P<which>(?:[0-9A-Z]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?)-----"
    r"(?:(?:[^-]|-(?!----))*+-----END (?P=which)-----|(?:\s*+[0-9A-Za-z+/=]{16,}+)*+)"
)

_IN_URL = re.compile(
    r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]{1,30}://"
    r"(?P<value>[^\s/?#@:\"'<>\[\]]{0,256}:[^\s/?#@\"'<>\[\]]{1,512})@(?=[^\s/@])"
)

_AFTER_BEARER = re.compile(
    r"(?i:\b(?:bearer|authorization[\"']?\s?[:=]\s?[\"']?(?:basic|token|bearer|apikey))) {1,3}"
    r"(?P<value>[0-9A-Za-z_.~+/-]{16,}={0,2})"
)

_AFTER_BASIC = re.compile(r"(?i:\bbasic) {1,3}(?P<value>[0-9A-Za-z+/]{4,4096}={0,2})(?![0-9A-Za-z+/=])")

_NAME = (
    r"(?:pass(?:word|wd|phrase)|passwort|contrase[nñ]a|mot de passe|pwd|secret|connection[_-]?string"
    r"|(?:api|access|auth|account|client|secret|private|encryption|shared|signing)[ _-]?(?:key|token|secret))"
)
_ASSIGNED = re.compile(
    rf"(?<![A-Za-z])(?i:{_NAME})(?i:[_-](?:key|value|id))?[\"'`]?\s{{0,3}}(?:=>|:=|[:=])\s{{0,3}}"
    r"(?:\"(?P<double>[^\"\s\[\]]{4,256})\"|'(?P<single>[^'\s\[\]]{4,256})'|(?P<bare>[^\s\"'`,;<>()\[\]{}|&]{6,256}+))"
)
_PLACEHOLDER = re.compile(
    r"(?i)[*•.x_-]+|<.*>|\$.*|%.*|(?:your|my|some|the|change|enter|insert|example|placeholder|redacted|none|null|true|false"
    r"|required|optional|string|str|process|os|env|self|config|settings|getenv|hidden|secret|password)(?:[^0-9A-Za-z].*|$)"
)
_KEY = re.compile(rf"(?i)(?:^|[._\s-]|[a-z](?=[A-Z])){_NAME}$")


def is_secret_key(key: str) -> bool:
    """Whether what stands under this key is a password, a key or a token."""
    return _KEY.search(key) is not None


def is_secret_value(value: str) -> bool:
    """A whole value under a key such as `password` or `api_key`, unless it only stands for one."""
    return (
        4 <= len(value) <= 4096
        and not any(c.isspace() for c in value)
        and not value.startswith("[")
        and _PLACEHOLDER.fullmatch(value) is None
    )


def _is_basic(match: re.Match[str]) -> bool:
    """A name and a password with a colon between, in base64. Source: RFC 7617."""
    try:
        said = b64decode(match["value"], validate=True).decode()
    except ValueError:
        return False
    return ":" in said and said.isprintable()


def _assigned(text: str) -> list[tuple[int, int]]:
    """Values that a setting gives; a bare one needs a digit or a sign, or a sentence's next word would be one."""
    spans = []
    for match in _ASSIGNED.finditer(text):
        group = match.lastgroup or "bare"
        value = match[group]
        if group == "bare":
            value = value.rstrip(".!?:")
            if len(value) < 6 or value.isalpha() or value.startswith("//"):
                continue
        if not _PLACEHOLDER.fullmatch(value):
            start = match.start(group)
            spans.append((start, start + len(value)))
    return spans


PRIVATE_KEY = Entity(
    "SECRET", r"-----BEGIN (?:[0-9A-Z]+ )*PRIVATE KEY", matches(_PRIVATE_KEY), normal=str, reach=16_384
)
TOKEN = Entity(
    "SECRET",
    r"sk-[0-9A-Za-z_-]{20}|(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}|gh[opsur]_[0-9A-Za-z]{30}|github_pat_"
    r"|gl[a-z]{2,5}-[0-9A-Za-z_.-]{20}|xox[abeoprs]-|xapp-[0-9]|AIza|ya29\.|GOCSPX|[rs]k_(?:live|test)_|whsec_|hf_[0-9A-Za-z]{30}|npm_[0-9A-Za-z]{30}"
    r"|pypi-AgE|SG\.[0-9A-Za-z_-]{16}|(?:SK|AC)[0-9a-f]{32}|gsk_[0-9A-Za-z]{20}|xai-[0-9A-Za-z]{20}|r8_[0-9A-Za-z]{20}"
    r"|pplx-[0-9A-Za-z]{20}|dop_v1|dapi[0-9a-f]{20}|lsv2_|shp[a-z]{2}_[0-9A-Fa-f]{20}|NRAK-|sq0[ac][st]p|eyJ[0-9A-Za-z_-]{8}",
    matches(_TOKEN),
    normal=str,
    in_ids=True,
    reach=16_384,
)
BEARER = Entity(
    "SECRET",
    r"(?i-u:bearer|(?:basic|token|apikey)) {1,3}[0-9A-Za-z_.~+/-]{16}",
    matches(_AFTER_BEARER),
    normal=str,
    reach=16_384,
)
BASIC = Entity(
    "SECRET",
    r"(?i-u:basic) {1,3}[0-9A-Za-z+/]{4}",
    matches(_AFTER_BASIC, _is_basic),
    normal=str,
    reach=16_384,
)
IN_URL = Entity("SECRET", r"://[^\s/@]*:[^\s/@]+@", matches(_IN_URL), normal=str, in_ids=True, reach=1024)
ASSIGNED = Entity(
    "SECRET",
    r"(?i-u:passw|passphrase|contrase|mot de passe|pwd|secret|key|token|connection[_-]?string)[A-Za-z_-]{0,6}"
    r"[\"'`\\]{0,2}\s{0,3}(?:=>|:=|[:=])",
    _assigned,
    normal=str,
    reach=1024,
)
