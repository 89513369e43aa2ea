"""Whether a text is JSON that conforms to a JSON Schema; runs in a process of its own (`scorers.verifier_process`).

A pattern in a schema may take for ever, and a schema may refer to itself: whoever runs this sets a time limit. No
address is ever asked for a schema.

Source: JSON Schema 2020-12, and the older draft that `$schema` names; `format` is not checked, as its default is.
"""

import json
import sys
from typing import Any

# It builds a grammar on import, for a second, and serves a format; formats are not checked here.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type] # None says that it cannot be imported

from jsonschema import FormatChecker
from jsonschema.exceptions import SchemaError
from jsonschema.protocols import Validator
from jsonschema.validators import Draft202012Validator, validator_for
from jsonschema_specifications import REGISTRY
from referencing import Resource
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

PATTERNS = FormatChecker(["regex"])

DATA = ("const", "enum", "default", "examples")
"""What stands behind these is data, and no schema."""


class Unfit(Exception):
    """A schema that nothing can be checked with."""


def conforms(output: str, expected: str | None) -> bool:
    """Whether the whole output is one JSON value that the schema accepts.

    Raises:
        Unfit: `expected` is no schema, or refers to one that is elsewhere.
    """
    validator = read(expected)
    try:
        instance = json.loads(output, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    try:
        return bool(validator.is_valid(instance))
    except Unresolvable as error:
        raise Unfit(_elsewhere(error.ref)) from None
    except RecursionError:
        raise Unfit("the schema refers to itself without end, or output and schema are nested too deep") from None


def is_schema(_output: str, expected: str | None) -> bool:
    """True where the text is a schema whose references all lead somewhere within it."""
    read(expected)
    return True


def read(text: str | None) -> Validator:
    """What checks instances of a schema."""
    try:
        schema = json.loads(text or "", parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise Unfit(f"the schema is no JSON ({error})") from None
    if not isinstance(schema, dict | bool):
        raise Unfit(f"a schema is an object or a truth value, found {type(schema).__name__}")
    kind = validator_for(schema, default=Draft202012Validator)
    try:
        kind.check_schema(schema, format_checker=PATTERNS)
    except SchemaError as error:
        raise Unfit(f"no valid schema: {error.message[:200]} at {error.json_path}") from None
    except RecursionError:
        raise Unfit("the schema is nested too deep") from None
    _look_up(schema)
    return kind(schema, registry=REGISTRY)


def _look_up(schema: Any) -> None:
    """Refuses references that lead nowhere before an output happens to need them.

    Parts with a name of their own (`$id`) have another base, and are left to the check.
    """
    refs, ids = _found(schema)
    if isinstance(schema, bool) or ids > ("$id" in schema):
        return
    resource = Resource.from_contents(schema, default_specification=DRAFT202012)
    base = str(schema.get("$id", ""))
    resolver = REGISTRY.with_resource(base, resource).resolver(base_uri=base)
    for ref in refs:
        try:
            resolver.lookup(ref)
        except Unresolvable:
            raise Unfit(_elsewhere(ref)) from None


def _found(schema: Any) -> tuple[list[str], int]:
    """All texts behind `$ref`, and how many parts have an `$id`."""
    refs, ids, left = [], 0, [schema]
    while left:
        part = left.pop()
        if isinstance(part, dict):
            refs += [part["$ref"]] if isinstance(part.get("$ref"), str) else []
            ids += isinstance(part.get("$id"), str)
            left += [inner for key, inner in part.items() if key not in DATA]
        left += part if isinstance(part, list) else []
    return refs, ids


def _elsewhere(ref: str) -> str:
    return f"the schema refers to {ref[:200]!r}, which is not within it; nothing is fetched"


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
