from html.parser import HTMLParser

import pytest

from clworkbench.labels.literal import beginning, both_ends, escaped, visible, wide_as_entities, without_hidden


class Page(HTMLParser):
    """What a browser would make of a text that is put into a page as HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, _attributes):
        self.tags.append(tag)

    def handle_data(self, data):
        self.text += data


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<!doctype html><html><body>",
    "a < b && c > d &amp; &lt;i&gt; &#60;b&#62;",
    "[link](javascript:alert(1)) ![pixel](http://evil.example/p.png) **bold**",
    "</span><style>*{display:none}</style>",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_page_shows_an_escaped_text_as_it_is(text):
    page = Page(escaped(text))
    assert page.tags == []
    assert page.text == text


def test_what_turns_the_direction_and_control_characters_are_written_out():
    assert visible("pay \u202elive\u202c\x00 now\x1b[31m") == "pay ⟨U+202E⟩live⟨U+202C⟩⟨U+0000⟩ now⟨U+001B⟩[31m"


def test_half_characters_are_written_out_so_that_the_text_can_be_sent():
    assert visible("half \ud83d here").encode() == "half ⟨U+D83D⟩ here".encode()


def test_arabic_emoji_tabs_and_line_ends_stay_as_they_are():
    text = "مرحبا \u200f👩\u200d💻\tx\ny"
    assert visible(text) == text
    assert visible("a\r\nb\rc") == "a\nb\nc"


def test_a_suggestion_loses_what_a_page_would_obey():
    assert without_hidden("pay \u202elive\u202c\x00 <b>now</b>\r\n") == "pay live <b>now</b>\n"


def test_a_long_text_shows_its_beginning_and_says_where_the_rest_is():
    shown = beginning("x" * 1_000_000, 1000, "abc123")
    assert len(shown) <= 1000
    assert shown.startswith("x" * 800)
    assert "[1,000,000 characters, shown up to here; the whole text: interaction abc123]" in shown


def test_a_long_message_shows_its_beginning_and_its_end():
    shown = both_ends("start" + "y" * 50_000 + "the question?", 1000, "abc123")
    assert len(shown) <= 1000
    assert shown.startswith("start")
    assert shown.endswith("the question?")
    assert "the middle is left out here" in shown


@pytest.mark.parametrize("cut", [beginning, both_ends], ids=["beginning", "both ends"])
@pytest.mark.parametrize("limit", range(300, 312))
def test_no_escape_is_torn_by_a_cut(cut, limit):
    page = Page(cut("<&" * 400, limit, "i"))
    assert page.tags == []
    assert set(page.text.partition("\n[")[0]) <= {"<", "&"}
    assert set(page.text.rpartition("]\n")[2]) <= {"<", "&"}


def test_a_text_that_fits_has_no_mark():
    assert beginning("short", 100, "i") == both_ends("short", 100, "i") == "short"


def test_wide_characters_as_entities_show_the_same_and_leave_room_for_spans_that_count_them_twice():
    text = "👍👍 <ok> 👩\u200d💻"
    field = wide_as_entities(escaped(text))
    assert Page(field).text == text
    assert len(field) >= len(text.encode("utf-16-le")) / 2
