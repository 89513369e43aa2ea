"""Scores of reward models: of prompt and answer together, and without a scale."""

from pathlib import Path

import polars as pl
import pytest

from clworkbench.errors import ClwError, ModelError
from clworkbench.evals.evaluate import evaluate
from clworkbench.evals.suites import ungradable
from clworkbench.models.load import load
from clworkbench.models.names import ModelSpec, base_spec
from clworkbench.schemas import SUITE
from clworkbench.scorers.names import scorer
from clworkbench.scorers.scorer import Place, within
from tests.tiny_model import make_tiny_model


def suite(*asked: str) -> pl.DataFrame:
    rows = [
        {"example_id": str(at), "input": [{"role": "user", "content": text}], "slices": [], "signal_ids": []}
        for at, text in enumerate(asked)
    ]
    return pl.DataFrame(rows, schema=SUITE)


@pytest.fixture(scope="module")
def judge(tmp_path_factory) -> Path:
    """A whole model with a head that gives one score, as they stand on a hub."""
    from transformers import LlamaForSequenceClassification

    made = make_tiny_model(tmp_path_factory.mktemp("base"))
    folder = tmp_path_factory.mktemp("reward")
    model = LlamaForSequenceClassification.from_pretrained(made, num_labels=1, pad_token_id=0)
    model.score.weight.data.normal_(generator=None, std=0.5)
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        if (made / name).exists():
            (folder / name).write_bytes((made / name).read_bytes())
    return folder


def by_hand(folder: Path, prompt: str, answer: str) -> float:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.bfloat16).eval()
    model.score.float().register_forward_pre_hook(lambda _head, states: (states[0].float(),))
    said = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
    tokens = tokenizer.apply_chat_template(said, return_dict=True, return_tensors="pt")
    with torch.inference_mode():
        return float(model(**tokens).logits[0, 0])


def test_a_reward_is_that_of_the_model_on_prompt_and_answer(judge: Path):
    asked = suite("where is my card", "cancel the transfer", "give me a refund")
    outputs = pl.Series(["it has not arrived", "where is my card", None])
    with within(Place(judge.parent)):
        grader = scorer(f"reward:{judge}")
        found = grader.graded(outputs, asked["expected"], asked["input"])
    wanted = [
        by_hand(judge, "where is my card", "it has not arrived"),
        by_hand(judge, "cancel the transfer", "where is my card"),
        by_hand(judge, "give me a refund", ""),
    ]
    assert len({round(each, 4) for each in wanted}) == 3
    # bfloat16 keeps 8 bits, and a batch pads.
    assert found.score.to_list() == pytest.approx(wanted, rel=0.05, abs=0.05)
    assert found.error.null_count() == 3
    assert not grader.scaled


def test_no_answer_has_full_marks_and_none_is_asked_for_before_the_model_answers(judge: Path):
    name = f"reward:{judge}"
    asked = suite("where is my card", "give me a refund")
    assert ungradable(asked, [name]).is_empty()
    assert scorer(name).gold(pl.Series(["a"])).to_list() == [None]
    model = load(ModelSpec("m", str(make_tiny_model(judge / "lm"))), dtype="float32")
    scores = evaluate(model, asked, [name], model="m", suite_id="s", max_new_tokens=4)
    assert scores["score"].null_count() == 0
    assert scores["score"].n_unique() == 2


def test_what_the_model_cannot_read_has_no_score_and_says_why(judge: Path):
    asked = suite("card " * 600, "hi")
    found = scorer(f"reward:{judge}").graded(pl.Series(["a", "b"]), asked["expected"], asked["input"])
    assert found.score.is_null().to_list() == [True, False]
    assert "tokens, and the reward model reads 512" in found.error[0]


def test_a_reward_needs_the_prompt_so_it_verifies_no_rows(judge: Path):
    with pytest.raises(ClwError, match="reads the prompt too, so it grades suites and verifies no rows"):
        scorer(f"reward:{judge}")(pl.Series(["a"]), pl.Series(["a"]))


def test_a_model_that_gives_no_score_is_refused_in_words(tiny_base: Path):
    asked = suite("hi")
    with pytest.raises(ModelError, match="no reward model"):
        scorer(f"reward:{tiny_base}").graded(pl.Series(["a"]), asked["expected"], asked["input"])
    with pytest.raises(ClwError, match="after reward: stands a run"):
        scorer("reward:")
    with within(Place(model=base_spec)), pytest.raises(ModelError, match="no such folder"):
        scorer("reward:/nowhere")
