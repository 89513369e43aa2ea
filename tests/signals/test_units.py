from collections.abc import Callable

import pytest

from clworkbench.settings import Source
from tests.signals.whole import Whole


@pytest.mark.parametrize(
    ("name", "record", "places"),
    [
        ("openai", {"object": "list", "data": [7, 7]}, ("data[0]", "data[1]")),
        ("phoenix", {"data": [7, 7]}, ("data[0]", "data[1]")),
        ("langfuse", {"data": [7, 7], "meta": {}}, ("data[0]", "data[1]")),
        ("langsmith", {"runs": [7, 7]}, ("record 0", "record 1")),
        ("tau", {"simulations": [7, 7], "tasks": []}, ("simulations[0]", "simulations[1]")),
        (
            "mlflow",
            {"info": {"trace_id": "t"}, "data": {"spans": [7, 7]}},
            ("span 0 of the trace", "span 1 of the trace"),
        ),
    ],
)
def test_two_equal_units_that_cannot_be_read_are_two_rows_of_the_quarantine(
    ingest: Callable[..., Whole], name: str, record: dict[str, object], places: tuple[str, str]
) -> None:
    whole = ingest(record, source=Source("desk", format=name))
    assert whole.quarantine["reason"].to_list() == [f"{place}: a number, not an object" for place in places]
    assert whole.quarantine.select("source", "sha256", "offset").is_unique().all()
