"""What a question set looks like in Argilla: fields, questions and metadata of one data set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from clworkbench.errors import LabelError
from clworkbench.settings import QuestionSet

QUESTIONS: Mapping[str, str] = {
    "accept": "answer",
    "rate": "rating",
    "prefer": "preference",
    "rank": "ranking",
    "correct": "improvement",
    "choose": "choice",
    "spans": "spans",
    "comment": "comment",
}
"""What a question is called in Argilla and in `labels.question`, by what it asks."""

COMPARING = ("prefer", "rank")
"""The asks that set several answers beside each other."""

NONE = "none"
"""What `preference` says where no answer is better than another."""

METADATA = {"slice": True, "date": True, "week": True, "source": True, "reasons": False, "model": False}
"""What records are found by, and whether annotators see it too: who knows why an answer was chosen, or whose it is,
judges it by that."""

GUIDELINES = 10_000
"""Characters of guidelines that Argilla takes."""

TITLES = {
    "conversation": "Conversation",
    "answer": "The model's answer",
    "tools": "Tools that the model could call",
}


@dataclass(frozen=True)
class Form:
    """A data set as Argilla's interface takes it.

    Attributes:
        name: the question set's name.
        fields: bodies of `POST fields`.
        questions: bodies of `POST questions`, in the order asked.
        metadata: bodies of `POST metadata-properties`.
        overlap: how many annotators answer each record.
        guidelines: Markdown, None where there are none.
    """

    name: str
    fields: tuple[dict[str, object], ...]
    questions: tuple[dict[str, object], ...]
    metadata: tuple[dict[str, object], ...]
    overlap: int
    guidelines: str | None

    @property
    def distribution(self) -> dict[str, object]:
        """How records are given out."""
        return {"strategy": "overlap", "min_submitted": self.overlap}


class FieldThere(msgspec.Struct):
    """A field of a data set that stands in Argilla."""

    name: str
    required: bool
    settings: dict[str, object]


class QuestionThere(msgspec.Struct):
    """A question of a data set that stands in Argilla."""

    id: str
    name: str
    required: bool
    settings: dict[str, object]


def form(asked: QuestionSet, *, n_answers: int = 0, guidelines: str | None = None) -> Form:
    """The data set that asks what a question set says.

    Args:
        asked: the set.
        n_answers: how many answers stand beside each other in each record, where the set compares some.
        guidelines: what annotators are told.
    """
    required = [ask for ask in asked.asks if ask not in ("comment", "spans", "correct")]
    required = required or [next(ask for ask in asked.asks if ask != "comment")]
    return Form(
        name=asked.name,
        fields=tuple(_fields(asked, n_answers)),
        questions=tuple(_question(asked, ask, n_answers, required=ask in required) for ask in asked.asks),
        metadata=tuple(
            {"name": name, "title": name.capitalize(), "settings": {"type": "terms"}, "visible_for_annotators": seen}
            for name, seen in METADATA.items()
        ),
        overlap=asked.overlap,
        guidelines=guidelines,
    )


def compares(asked: QuestionSet) -> bool:
    """Whether a set puts several answers beside each other."""
    return bool(set(asked.asks) & set(COMPARING))


def judges(asked: QuestionSet) -> bool:
    """Whether a set asks about the model's own answer."""
    return bool(set(asked.asks) - {*COMPARING, "comment"})


def answer_names(n_answers: int) -> list[str]:
    """`answer_1`, `answer_2`, …: the fields and options of answers that are compared."""
    return [f"answer_{number}" for number in range(1, n_answers + 1)]


def _fields(asked: QuestionSet, n_answers: int) -> list[dict[str, object]]:
    shown = ["answer"] if judges(asked) else []
    shown += answer_names(n_answers) if compares(asked) else []
    titles = TITLES | {name: name.capitalize().replace("_", " ") for name in answer_names(n_answers)}
    chat = {"type": "chat", "use_markdown": False}
    text = {"type": "text", "use_markdown": False}
    return [
        {"name": name, "title": titles[name], "required": name != "tools", "settings": settings}
        for name, settings in [("conversation", chat), *((each, text) for each in shown), ("tools", text)]
    ]


def _question(asked: QuestionSet, ask: str, n_answers: int, *, required: bool) -> dict[str, object]:
    numbered = {name: name.capitalize().replace("_", " ") for name in answer_names(n_answers)}
    title, description, settings = {
        "accept": (
            "Is the answer right as it stands?",
            "Reject it if anything in it would have to be changed.",
            _labels({"accept": "Accept", "reject": "Reject"}),
        ),
        "rate": (
            "How good is the answer?",
            f"1 is the worst, {asked.ratings} the best.",
            {"type": "rating", "options": [{"value": number} for number in range(1, asked.ratings + 1)]},
        ),
        "prefer": (
            "Which answer is the best?",
            "'None of them' where they are equally good or equally bad.",
            _labels({**numbered, NONE: "None of them"}),
        ),
        "rank": (
            "Put the answers in order, the best first",
            "Answers that are equally good may share a place.",
            _labels(numbered, "ranking"),
        ),
        "correct": (
            "The answer as it should be",
            "What stands here is a suggestion: change what is wrong. Left as it is, it says nothing.",
            {"type": "text", "use_markdown": False},
        ),
        "choose": (
            "What is it about?" if not asked.several else "What is it about? (several may apply)",
            None,
            _labels(
                {option: option for option in asked.options},
                "multi_label_selection" if asked.several else "label_selection",
            ),
        ),
        "spans": (
            "Mark what stands out in the answer",
            "Choose a label, then mark the words. Nothing to mark: go on.",
            {**_labels({label: label for label in asked.span_labels}, "span"), "field": "answer"},
        ),
        "comment": ("Anything else?", None, {"type": "text", "use_markdown": False}),
    }[ask]
    about = {"description": description} if description else {}
    return {"name": QUESTIONS[ask], "title": title, **about, "required": required, "settings": settings}


def _labels(options: Mapping[str, str], kind: str = "label_selection") -> dict[str, object]:
    return {"type": kind, "options": [{"value": value, "text": text} for value, text in options.items()]}


def differences(wanted: Form, fields: Sequence[FieldThere], questions: Sequence[QuestionThere]) -> list[str]:
    """What a data set that is there asks otherwise than the form, in words; empty where it asks the same."""
    return [
        *_differing("field", wanted.fields, {each.name: each for each in fields}),
        *_differing("question", wanted.questions, {each.name: each for each in questions}),
    ]


def strange(wanted: Form, fields: Sequence[FieldThere], questions: Sequence[QuestionThere]) -> list[str]:
    """What a half-made data set has otherwise than the form, in words; empty where it may be a part of it."""
    shown, asked = {each.name for each in fields}, {each.name for each in questions}
    part = replace(
        wanted,
        fields=tuple(each for each in wanted.fields if each["name"] in shown),
        questions=tuple(each for each in wanted.questions if each["name"] in asked),
    )
    return differences(part, fields, questions)


def _differing(
    what: str, wanted: Sequence[Mapping[str, object]], there: Mapping[str, FieldThere | QuestionThere]
) -> list[str]:
    said = []
    for each in wanted:
        name = str(each["name"])
        if name not in there:
            said.append(f"{what} {name}: not there")
            continue
        ours = _told(each["settings"], each["required"])
        theirs = _told(there[name].settings, there[name].required)
        said += [
            f"{what} {name}: {part} is {theirs[part]} there, and {value} in clw.toml"
            for part, value in ours.items()
            if theirs[part] != value
        ]
    names = {str(each["name"]) for each in wanted}
    return [*said, *(f"{what} {name}: only there" for name in there if name not in names)]


def _told(settings: object, required: object) -> dict[str, str]:
    """What decides whether two fields or questions are the same, in words."""
    assert isinstance(settings, dict)
    options = settings.get("options") or []
    values = [str(option["value"]) for option in options]
    return {
        "type": str(settings["type"]),
        "use_markdown": str(bool(settings.get("use_markdown"))).lower(),
        "options": ", ".join(values) or "none",
        "field": str(settings.get("field") or "none"),
        "required": str(bool(required)).lower(),
    }


def read_guidelines(path: Path | None) -> str | None:
    """What annotators are told, from a Markdown file.

    Raises:
        LabelError: it is missing, no UTF-8 text, or longer than Argilla takes.
    """
    if path is None:
        return None
    try:
        text = path.read_text("utf-8-sig").strip()
    except OSError as error:
        raise LabelError(
            f"guidelines: {path} cannot be read: {error.strerror}.\nWrite it, or mend `guidelines` in clw.toml."
        ) from None
    except UnicodeDecodeError as error:
        raise LabelError(f"guidelines: {path} is not UTF-8 text ({error.reason}).\nSave it as UTF-8.") from None
    if len(text) > GUIDELINES:
        raise LabelError(
            f"guidelines: {path} has {len(text):,} characters, and Argilla takes {GUIDELINES:,}.\n"
            "Shorten it, or put the rest where annotators can read it and name that place."
        )
    return text or None
