"""A workspace with answers that people labelled, and a judge on this machine whose mistakes are known."""

import json
from hashlib import sha256

from clworkbench.loop.data import import_labels
from clworkbench.loop.signals.capture import ingest
from clworkbench.workspace import Workspace
from tests.chat_server import said
from tests.tiny_workspace import write_lines

SETTINGS = """\
format = 1
[endpoints.large]
url = "{url}"
model = "large-1"
retries = 0
{prices}
[judges.helpful]
endpoint = "large"
rubric = "Is the answer right?"
{judge}
[slices]
parcels = "text LIKE '%parcel%'"
{more}
"""

N = 80


def chat(number):
    """Every third answer is bad; about parcels and invoices in turn."""
    asked = f"where is {'parcel' if number % 2 else 'invoice'} {number}?"
    answer = f"{'nowhere' if number % 3 == 0 else 'on its way'} {number}"
    messages = [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
    return {
        "id": f"log:{number}",
        "created": f"2026-03-02T{9 + number // 60:02}:{number % 60:02}:00Z",
        "messages": messages,
    }


def make(folder, url, *, judge="", prices="", more="", n=N):
    workspace = Workspace.create(folder, settings=SETTINGS.format(url=url, judge=judge, prices=prices, more=more))
    ingest(workspace, write_lines(folder / "inbox" / "chats.jsonl", [chat(number) for number in range(n)]), "openai")
    return workspace


def label(workspace, *, n=N, who="ann", at="2026-03-05", verdict=None):
    """A person labels the first n answers: bad ones are rejected, unless `verdict` says otherwise."""
    signals = workspace.signals().sort("started_at").head(n)
    rows = [
        f"{own},{verdict or ('reject' if 'nowhere' in answer else 'accept')},{who},{at}"
        for own, answer in signals.select("interaction_id", "answer").rows()
    ]
    sheet = workspace.folder / f"{who}-{at}-{n}.csv"
    sheet.write_text("\n".join(["interaction_id,value,annotator,at", *rows]) + "\n")
    return import_labels(workspace, sheet)


def shown_answer(body):
    """The answer that a judge is asked about."""
    user = body["messages"][1]["content"]
    return user.split("\nanswer:\n")[1].rsplit("\n", 1)[0]


def grades(wrong=0):
    """A judge that says `nowhere` is bad, and is mistaken on `wrong` of 100 answers, always the same ones."""

    def behave(_number, body):
        answer = shown_answer(body)
        mistaken = int(sha256(answer.encode()).hexdigest(), 16) % 100 < wrong
        grade = "fail" if ("nowhere" in answer) != mistaken else "pass"
        return said(json.dumps({"reason": "x", "grade": grade}), prompt=100, completion=10)

    return behave
