"""Text that grows by tokens: pieces that make the whole, never half a character, never a text that ends the answer."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clworkbench.models.engine.text import GrowingText


@pytest.fixture(scope="module")
def tokenizer(tiny_base):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_base)


def grown(tokenizer, text: str, stop: tuple[str, ...] = ()) -> tuple[list[str], GrowingText]:
    growing = GrowingText(tokenizer, stop)
    pieces = []
    for token in tokenizer(text, add_special_tokens=False)["input_ids"]:
        pieces.append(growing.add(token))
        if growing.stopped:
            return pieces, growing
    return [*pieces, growing.rest()], growing


@settings(deadline=None, max_examples=150)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_the_pieces_make_what_decoding_at_once_makes(tokenizer, text):
    tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert "".join(grown(tokenizer, text)[0]) == tokenizer.decode(tokens, skip_special_tokens=True)


def test_a_character_of_several_tokens_comes_whole(tokenizer):
    pieces, _ = grown(tokenizer, "ab 🙂 é 中")
    assert "".join(pieces) == "ab 🙂 é 中"
    assert not any("\ufffd" in piece for piece in pieces)


def test_bytes_that_never_make_a_character_are_not_waited_for_forever(tokenizer):
    half = tokenizer("🙂", add_special_tokens=False)["input_ids"][:1]
    growing = GrowingText(tokenizer)
    pieces = [growing.add(token) for token in half * 40]
    assert "".join(pieces).count("\ufffd") >= 16


@pytest.mark.parametrize(
    ("stop", "told"),
    [
        (("card",), "where is my "),
        (("xyz", "is"), "where "),
        (("my card", "where is"), ""),
        (("cards",), "where is my card"),
        (("",), "where is my card"),
        (("arrived", "card"), "where is my "),
    ],
)
def test_a_stop_text_is_never_told_nor_its_beginning(tokenizer, stop, told):
    pieces, growing = grown(tokenizer, "where is my card", stop)
    assert "".join(pieces) == told
    assert growing.stopped is (told != "where is my card")


def test_what_might_begin_a_stop_text_is_told_once_it_does_not(tokenizer):
    growing = GrowingText(tokenizer, ("ab!",))
    letters = [tokenizer(letter, add_special_tokens=False)["input_ids"][0] for letter in "xabab?"]
    told = [growing.add(letter) for letter in letters]
    assert told == ["x", "", "", "ab", "", "ab?"]
