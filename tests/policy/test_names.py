"""Names that a row tells itself, marked in its texts."""

import json

import polars as pl
import pytest

from clworkbench import schemas
from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.policy.redaction import redact

KEY = Pseudonyms(b"k" * 32)


def said(content: str, role: str = "user", **more: object) -> dict[str, object]:
    return {"role": role, "content": content, **more}


def interactions(**columns: list[object]) -> pl.DataFrame:
    return pl.DataFrame(columns, schema={name: schemas.INTERACTIONS[name] for name in columns})


def mark(name: str) -> str:
    return f"[NAME_{KEY.surrogate('NAME', name.casefold())}]"


def texts(frame: pl.DataFrame) -> list[list[str]]:
    return [[one["content"] for one in row] for row in frame["input"]]


def test_a_name_in_the_attributes_is_marked_in_its_own_row_only() -> None:
    frame = interactions(
        input=[[said("I am anna  BERG, not Anna Bergmann"), said("Hi Anna Berg!", "assistant")], [said("Anna Berg?")]],
        attributes=['{"user.name": "Anna Berg", "note": "call\\nAnna Berg"}', "{}"],
    )
    after = redact(frame, KEY)
    anna = mark("Anna Berg")
    assert texts(after.frame) == [[f"I am {anna}, not Anna Bergmann", f"Hi {anna}!"], ["Anna Berg?"]]
    assert json.loads(after.frame["attributes"][0]) == {"user.name": anna, "note": f"call\n{anna}"}
    assert after.counts == {"NAME": 4}
    assert redact(after.frame, KEY).frame.equals(after.frame)


def test_the_name_of_a_users_message_is_marked_and_an_assistants_is_not() -> None:
    frame = interactions(
        input=[[said("Maria here", name="Maria"), said("Maria, ask Robert", "assistant", name="Robert")]],
    )
    after = redact(frame, KEY).frame["input"][0].to_list()
    assert [(one["content"], one["name"]) for one in after] == [
        (f"{mark('Maria')} here", mark("Maria")),
        (f"{mark('Maria')}, ask Robert", "Robert"),
    ]


def test_a_name_is_found_in_escaped_and_nested_json() -> None:
    attributes = json.dumps({"customer": {"name": "Jos\u00e9 D\u00edaz"}, "customer_name": "J\u00fcrgen"})
    frame = interactions(input=[[said("jos\u00e9 d\u00edaz and J\u00fcrgen")]], attributes=[attributes])
    after = redact(frame, KEY).frame
    jose, juergen = mark("Jos\u00e9 D\u00edaz"), mark("J\u00fcrgen")
    assert texts(after) == [[f"{jose} and {juergen}"]]
    assert json.loads(after["attributes"].item()) == {
        "customer": {"name": jose},
        "customer_name": juergen,
    }


@pytest.mark.parametrize(
    "attributes",
    [
        '{"user.name": "Bob"}', '{"user.name": "customer"}', '{"user.name": "The User"}', '{"agent.name": "Robert"}',
        '{"user.name": "bob_77"}', '{"user.name": 12345}', '{"user.name": null}', '{"user.name": ["Robert"]',
        '{"model_name": "Robert"}', '{"user.name": "a@b"}', '{"user.name": ""}',
    ],
)  # fmt: skip
def test_what_is_no_name_of_a_user_marks_nothing(attributes: str) -> None:
    frame = interactions(input=[[said("Bob, Robert, customer, the user, bob_77")]], attributes=[attributes])
    assert redact(frame, KEY).frame.equals(frame)
