"""Injection: completions that look like instructions to a model, and must not be learned before a person saw them."""

import polars as pl

SIGNS = {
    # What a chat template writes between turns: inside a completion it would teach where a turn ends.
    "template_token": r"<\|(?:im_start|im_end|system|user|assistant|endoftext|eot_id|start_header_id|end_header_id)\|>"
    r"|\[/?INST\]|<<SYS>>|<(?:start|end)_of_turn>",
    "override": r"(?i)\b(?:ignore|disregard|forget|override)\b[^.\n]{0,20}?"
    r"\b(?:previous|prior|above|earlier|preceding|system|(?:all )?(?:of )?your)\b[^.\n]{0,15}?"
    r"\b(?:instructions?|prompts?|rules|guidelines|messages?|context)\b",
    "new_role": r"(?i)\b(?:you are now (?:an?|the|in)\b|from now on,? you (?:are|will|must)\b|act as an? unrestricted"
    r"|enter (?:developer|god|dan) mode|jailbreak)",
    "prompt_theft": r"(?i)\b(?:reveal|print|repeat|show|output|leak)\b[^.\n]{0,30}?"
    r"\b(?:system prompt|(?:hidden|initial) (?:prompt|instructions?)|instructions? (?:above|verbatim))",
    # A picture whose address carries data away as soon as somebody looks.
    "exfiltration": r"!\[[^\]\n]{0,200}\]\(\s*https?://[^)\s]+[?&][^)\s]*=",
    "active_content": r"(?i)<\s*(?:script|iframe|object|embed)\b|\bjavascript:\s*\S"
    r"|\bon(?:error|load|click)\s*=\s*[\"']",
    # Tags, overrides of direction and runs of nothing: text that a person cannot see and a model reads; tags
    # after a black flag are the flags of England, Scotland and Wales.
    "invisible": r"(?:^|[^\u{1F3F4}\u{E0000}-\u{E007F}])[\u{E0000}-\u{E007F}]"
    r"|[\u202A-\u202E\u2066-\u2069]|[\u200B-\u200D\u2060\uFEFF]{3,}",
}
"""What each sign looks like, in the syntax of Rust's regex; every one is bounded or linear."""


def injected(text: pl.Expr) -> pl.Expr:
    """The first sign of an injection in a text, or null.

    It is a net for review, not a verdict: an answer that explains prompt injection is caught as well, and a person
    who labels it lets it through. What is written without any of these signs passes.

    Source: the cases of OWASP's Top 10 for LLM applications 2025, LLM01 (prompt injection) and LLM04 (data poisoning).
    """
    return pl.coalesce(
        *(pl.when(text.str.contains(pattern)).then(pl.lit(sign)) for sign, pattern in SIGNS.items()),
        pl.lit(None, pl.String),
    )
