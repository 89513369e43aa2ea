import subprocess
import sys

from clworkbench.schemas import MESSAGES
from clworkbench.signals.message_columns import MessageColumn
from clworkbench.signals.messages import Message, ToolCall

CALL = ToolCall("c", "f", "{}")
SAID: list[list[Message] | None] = [
    None,
    [],
    [Message("user", "hi"), Message("assistant", None, (CALL, CALL))],
    [Message("tool", "9", None, "c", "f", "[]")],
    None,
]
WITHOUT_PANDAS = """
import sys
from clworkbench.signals.message_columns import MessageColumn
from clworkbench.signals.messages import Message
column = MessageColumn(); column.append([Message("user", "hi")]); column.append(None)
assert column.series("input").len() == 2
print("pandas" in sys.modules)
"""


def as_dicts(messages: list[Message] | None) -> list[dict[str, object]] | None:
    if messages is None:
        return None
    calls = [[call._asdict() for call in one.tool_calls] if one.tool_calls else None for one in messages]
    return [one._asdict() | {"tool_calls": made} for one, made in zip(messages, calls, strict=True)]


def test_messages_added_row_by_row_and_many_at_once_make_the_same_column() -> None:
    single, many = MessageColumn(), MessageColumn()
    for messages in SAID:
        single.append(messages)
    many.extend(SAID[:2])
    many.extend(SAID[2:])
    assert single.series("input").dtype == MESSAGES
    assert single.series("input").to_list() == [as_dicts(messages) for messages in SAID]
    assert many.series("input").equals(single.series("input"), null_equal=True)


def test_a_column_without_rows_has_its_type() -> None:
    assert (MessageColumn().series("input").dtype, len(MessageColumn().series("input"))) == (MESSAGES, 0)


def test_a_column_is_made_without_pandas_which_takes_a_fifth_of_a_second_to_load() -> None:
    ran = subprocess.run([sys.executable, "-c", WITHOUT_PANDAS], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
