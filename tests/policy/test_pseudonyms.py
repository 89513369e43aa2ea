"""Ids made with the workspace's key."""

from hashlib import blake2b

from clworkbench.policy.pseudonyms import Pseudonyms

KEY = b"k" * 32


def test_ids_of_many_rows_are_blake2b_of_source_and_own_id_as_the_ids_of_single_rows_are() -> None:
    own_ids = ["1", "", "née 💬", "\ud800", "x" * 300]
    expected = [
        blake2b(f"otlp\x1f{own}".encode("utf-8", "surrogatepass"), digest_size=16, key=KEY, person=b"id").hexdigest()
        for own in own_ids
    ]
    pseudonyms = Pseudonyms(KEY)
    assert pseudonyms.ids("otlp", own_ids) == expected
    assert [pseudonyms.id("otlp", own) for own in own_ids] == expected
