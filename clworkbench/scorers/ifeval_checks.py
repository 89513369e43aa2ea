"""What each instruction of IFEval asks of an answer: one short function for each id.

Source: Zhou et al. 2023 (arXiv 2311.07911), table 1 and appendix; where they leave a choice, as its published test
cases decide. Unlike there, sentences end at a mark without a trained splitter, and `change_case` looks at letters
without asking whether the language is English. `language:response_language` needs a language detector, and is absent.
All take time linear in the text, for nothing stops them: no pattern here may look at the same run again and again.
"""

import re
from collections.abc import Callable, Mapping

from clworkbench.scorers.json_answers import MISSING, Json, parsed

Kwargs = Mapping[str, Json]
Check = Callable[[str, Kwargs], bool]

ABBREVIATION = re.compile(r"\b(?:[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|vs|etc|e\.g|i\.e|Inc|Ltd|Co|Jr|Sr|No)\.$")
LONGEST_ABBREVIATION = len("Prof.")
SENTENCE_END = re.compile(r"(?<![.!?])[.!?]++[\"'\u201d\u2019)\]]*+(?=\s|$)")
FENCE = re.compile(r"\A```(?:json)?|```\Z", re.IGNORECASE)
CONSTRAINED = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
WORD = re.compile(r"\w+")


def compared(count: int, kwargs: Kwargs, wanted: str, relation: str = "relation") -> bool:
    """Whether a count is 'less than' or 'at least' (the default) what is wanted."""
    said = kwargs.get(relation, "at least")
    if said not in ("less than", "at least"):
        raise ValueError(f"{relation} is 'less than' or 'at least', found {said!r}")
    number = whole(kwargs, wanted)
    return count < number if said == "less than" else count >= number


def whole(kwargs: Kwargs, name: str) -> int:
    """A whole number that is 0 or more."""
    value = kwargs[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise ValueError(f"{name} is no whole number: {value!r}")
    if isinstance(value, float) and not value.is_integer():
        raise ValueError(f"{name} is no whole number: {value!r}")
    return int(value)


def text_of(kwargs: Kwargs, name: str) -> str:
    """A text that is not blank."""
    value = kwargs[name]
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} is no text: {value!r}")
    return value.strip()


def texts_of(kwargs: Kwargs, name: str) -> list[str]:
    """A list of texts."""
    value = kwargs[name]
    if not isinstance(value, list) or not value or not all(isinstance(each, str) and each.strip() for each in value):
        raise ValueError(f"{name} is no list of texts: {value!r}")
    return [str(each) for each in value]


def occurrences(word: str, text: str) -> int:
    """How often a word or phrase stands in a text, in any case, within other words too."""
    return text.lower().count(word.lower())


def sentences(text: str) -> int:
    """How many sentences a text has: marks that end one, and what follows the last."""
    ends, at = 0, 0
    for found in SENTENCE_END.finditer(text):
        end = found.end()
        if not ABBREVIATION.search(text, max(at, end - LONGEST_ABBREVIATION), end):
            ends, at = ends + 1, end
    return ends + bool(text[at:].strip())


def keywords(text: str, kwargs: Kwargs) -> bool:
    """All keywords stand in the text."""
    return all(occurrences(word, text) for word in texts_of(kwargs, "keywords"))


def keyword_frequency(text: str, kwargs: Kwargs) -> bool:
    """A keyword stands so often in the text."""
    return compared(occurrences(text_of(kwargs, "keyword"), text), kwargs, "frequency")


def forbidden_words(text: str, kwargs: Kwargs) -> bool:
    """None of the words stands in the text; whole words count, in any case."""
    words = texts_of(kwargs, "forbidden_words")
    return not any(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE) for word in words)


def letter_frequency(text: str, kwargs: Kwargs) -> bool:
    """A letter or sign stands so often in the text, in either case."""
    letter = text_of(kwargs, "letter")
    if len(letter) != 1:
        raise ValueError(f"letter is no single letter: {letter!r}")
    return compared(occurrences(letter, text), kwargs, "let_frequency", "let_relation")


def number_sentences(text: str, kwargs: Kwargs) -> bool:
    """So many sentences."""
    return compared(sentences(text), kwargs, "num_sentences")


def number_words(text: str, kwargs: Kwargs) -> bool:
    """So many words: runs of letters, digits and underscores."""
    return compared(len(WORD.findall(text)), kwargs, "num_words")


def number_paragraphs(text: str, kwargs: Kwargs) -> bool:
    """Exactly so many paragraphs, divided by `***`; only the first and the last may be empty."""
    parts = [part.strip() for part in re.split(r"\s?\*\*\*\s?", text)]
    wanted = whole(kwargs, "num_paragraphs")
    return all(parts[1:-1]) and sum(map(bool, parts)) == wanted


def nth_paragraph_first_word(text: str, kwargs: Kwargs) -> bool:
    """Exactly so many paragraphs, divided by blank lines, and the n-th (from 1) begins with a word."""
    wanted, nth = whole(kwargs, "num_paragraphs"), whole(kwargs, "nth_paragraph")
    word = text_of(kwargs, "first_word").lower()
    parts = [part.strip() for part in re.split(r"\n\n", text)]
    said = [part for part in parts if part]
    if len(said) != wanted or not 1 <= nth <= len(parts) or not parts[nth - 1]:
        return False
    first = parts[nth - 1].split()[0].lstrip("'\"")
    return re.split(r"[.,?!'\"]", first)[0].lower() == word


def number_placeholders(text: str, kwargs: Kwargs) -> bool:
    """At least so many placeholders in square brackets, such as [name]."""
    # What stands behind a line's last bracket closes nothing.
    lines = (line[: line.rfind("]") + 1] for line in text.split("\n"))
    return sum(len(re.findall(r"\[.*?\]", line)) for line in lines) >= whole(kwargs, "num_placeholders")


def postscript(text: str, kwargs: Kwargs) -> bool:
    """A postscript that begins with its marker; blanks may stand between the letters of P.S. and P.P.S."""
    marker = text_of(kwargs, "postscript_marker").lower()
    if not marker.startswith("p."):
        return marker in text.lower()
    wanted = "p.s" if marker == "p.s." else "".join(marker.split())
    return re.search(r"(?<!\w)" + r"\s*".join(map(re.escape, wanted)), text.lower()) is not None


def number_bullets(text: str, kwargs: Kwargs) -> bool:
    """Exactly so many bullet points in Markdown, with `*` or `-`."""
    return len(re.findall(r"^[^\S\n]*(?:\*[^*]|-).*$", text, re.MULTILINE)) == whole(kwargs, "num_bullets")


def constrained_response(text: str, _kwargs: Kwargs) -> bool:
    """One of the three answers that the prompt allows stands in the text."""
    return any(answer in text.strip() for answer in CONSTRAINED)


def highlighted_sections(text: str, kwargs: Kwargs) -> bool:
    """At least so many parts between `*` or `**` on one line."""
    single = [part for part in re.findall(r"\*([^\n*]*)\*", text) if part.strip()]
    double = [part for part in re.findall(r"\*\*([^\n*]*)\*\*", text) if part.strip()]
    return len(single) + len(double) >= whole(kwargs, "num_highlights")


def multiple_sections(text: str, kwargs: Kwargs) -> bool:
    """At least so many sections that begin with a word and a number, such as Section 1."""
    splitter = re.escape(text_of(kwargs, "section_spliter"))
    return len(re.findall(rf"\s?{splitter}\s?\d+\s?", text)) >= whole(kwargs, "num_sections")


def json_format(text: str, _kwargs: Kwargs) -> bool:
    """All of it is JSON, with or without a fence."""
    return parsed(FENCE.sub("", text.strip())) is not MISSING


def title(text: str, _kwargs: Kwargs) -> bool:
    """A title in double angular brackets, such as <<Joy>>, on one line."""
    ends = ((line, line.find("<<"), line.rfind(">>")) for line in text.split("\n"))
    return any(begin >= 0 and line[begin : max(begin, end)].strip("<> \t") for line, begin, end in ends)


def two_responses(text: str, _kwargs: Kwargs) -> bool:
    """Two answers that differ, divided by six asterisks."""
    parts = [part.strip() for part in text.split("******")]
    said = [part for part in parts if part]
    return all(parts[1:-1]) and len(said) == 2 and said[0] != said[1]


def repeat_prompt(text: str, kwargs: Kwargs) -> bool:
    """The text begins with the prompt."""
    return text.strip().lower().startswith(text_of(kwargs, "prompt_to_repeat").lower())


def end_checker(text: str, kwargs: Kwargs) -> bool:
    """The text ends with a phrase, in any case; a quotation mark may follow."""
    return text.strip().strip('"').lower().endswith(text_of(kwargs, "end_phrase").lower())


def quotation(text: str, _kwargs: Kwargs) -> bool:
    """All of it stands in double quotation marks."""
    said = text.strip()
    return len(said) > 1 and said[0] == said[-1] == '"'


def english_capital(text: str, _kwargs: Kwargs) -> bool:
    """All letters are capitals."""
    return text.isupper()


def english_lowercase(text: str, _kwargs: Kwargs) -> bool:
    """No letter is a capital."""
    return text.islower()


def capital_word_frequency(text: str, kwargs: Kwargs) -> bool:
    """So many words are all in capitals."""
    capitals = sum(word.isupper() for word in re.findall(r"\w+(?:[-'\u2019]\w+)*", text))
    return compared(capitals, kwargs, "capital_frequency", "capital_relation")


def no_comma(text: str, _kwargs: Kwargs) -> bool:
    """No comma stands in the text."""
    return "," not in text


CHECKS: dict[str, Check] = {
    "keywords:existence": keywords,
    "keywords:frequency": keyword_frequency,
    "keywords:forbidden_words": forbidden_words,
    "keywords:letter_frequency": letter_frequency,
    "length_constraints:number_sentences": number_sentences,
    "length_constraints:number_paragraphs": number_paragraphs,
    "length_constraints:number_words": number_words,
    "length_constraints:nth_paragraph_first_word": nth_paragraph_first_word,
    "detectable_content:number_placeholders": number_placeholders,
    "detectable_content:postscript": postscript,
    "detectable_format:number_bullet_lists": number_bullets,
    "detectable_format:constrained_response": constrained_response,
    "detectable_format:number_highlighted_sections": highlighted_sections,
    "detectable_format:multiple_sections": multiple_sections,
    "detectable_format:json_format": json_format,
    "detectable_format:title": title,
    "combination:two_responses": two_responses,
    "combination:repeat_prompt": repeat_prompt,
    "startend:end_checker": end_checker,
    "startend:quotation": quotation,
    "change_case:capital_word_frequency": capital_word_frequency,
    "change_case:english_capital": english_capital,
    "change_case:english_lowercase": english_lowercase,
    "punctuation:no_comma": no_comma,
}
