"""Scorers by name: `exact_match`, `function_call`, …, and those whose name goes on after a colon."""

from collections.abc import Callable
from difflib import get_close_matches
from functools import partial

import polars as pl

from clworkbench.errors import ClwError
from clworkbench.scorers.calls import calls_match, names_match
from clworkbench.scorers.classification import classification
from clworkbench.scorers.ifeval import ifeval
from clworkbench.scorers.json_answers import field_gold, field_matches, field_path, is_valid
from clworkbench.scorers.reward import reward
from clworkbench.scorers.schema import json_schema
from clworkbench.scorers.scorer import Scorer, here, nobody_can_say, plain
from clworkbench.scorers.text import contains, exact_match, matches, normalised_match, rouge_l
from clworkbench.scorers.verifier import verifier

PLAIN: dict[str, Callable[[pl.Series, pl.Series], pl.Series]] = {
    "exact_match": exact_match,
    "normalised_match": normalised_match,
    "contains": contains,
    "regex": matches,
    "rouge_l": rouge_l,
    "valid_json": is_valid,
    "function_call": calls_match,
    "function_name": names_match,
}

KINDS: dict[str, tuple[Callable[[str], Scorer], tuple[str, ...]]] = {
    "json_field": (lambda name: _json_field(name), ("json_field:<path>",)),
    "json_schema": (json_schema, ("json_schema", "json_schema:<file>")),
    "classification": (classification, ("classification", "classification:<path>")),
    "ifeval": (ifeval, ("ifeval", "ifeval:loose")),
    "python": (verifier, ("python:<file>.py:<function>", "python:<module>:<function>")),
    "reward": (reward, ("reward:<run>",)),
    "judge": (lambda name: _judge(name), ("judge:<name>",)),
}
"""What stands before the first colon, who makes the scorer of the whole name, and the forms that it has."""

FORMS = (*PLAIN, *(form for _, forms in KINDS.values() for form in forms))
"""All scorers, as an error and the help list them."""


def scorer(name: str) -> Scorer:
    """The scorer of that name.

    Raises:
        ClwError: there is none, or what its name speaks of is not there.
    """
    kind = name.partition(":")[0]
    if name in PLAIN:
        return plain(name, PLAIN[name], nobody_can_say) if name == "regex" else plain(name, PLAIN[name])
    if kind in KINDS and (name != kind or name in FORMS):
        return KINDS[kind][0](name)
    near = get_close_matches(kind, [*PLAIN, *KINDS], n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise ClwError(f"scorer {name!r}: unknown.{hint} Known are {', '.join(FORMS)}, e.g. json_field:intent.")


def _json_field(name: str) -> Scorer:
    path = field_path(name)
    return plain(name, partial(field_matches, path=path), partial(field_gold, path=path))


def _judge(name: str) -> Scorer:
    judge = here().judge
    if judge is None:
        raise ClwError(f"scorer {name!r}: a judge is asked through a workspace's endpoint: it grades in `clw eval`.")
    return judge(name.partition(":")[2])
