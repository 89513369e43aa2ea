"""The engine: what it answers is what each model answers alone, whoever comes and goes beside it."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from clworkbench.errors import ModelError
from clworkbench.files import sha256_file
from clworkbench.models.engine import Ask, Engine, EngineClosed, EngineFull, Piece, PromptTooLong, UnknownModel
from clworkbench.models.generate import generate
from clworkbench.models.load import load
from clworkbench.models.names import ModelSpec
from clworkbench.models.torch_setup import quiet_transformers

N = 12


def asks(text: str) -> list[dict[str, object]]:
    return [{"role": "user", "content": text}]


TEXTS = [
    "where is my card",
    "hi",
    "what is the exchange rate today, and why was i charged twice for the transfer that i asked you to cancel?",
    "refund please",
    "my balance is wrong",
    "give me a refund now or else",
]


def make_adapter(base: Path, folder: Path, seed: int) -> ModelSpec:
    """A LoRA adapter with random weights, large enough to change what is said."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    modules = ["q_proj", "v_proj", "down_proj"]
    config = LoraConfig(r=4, lora_alpha=16, target_modules=modules, init_lora_weights=False, task_type="CAUSAL_LM")
    with quiet_transformers():
        get_peft_model(AutoModelForCausalLM.from_pretrained(base), config).save_pretrained(folder)
    return ModelSpec(folder.name, str(base), folder, sha256_file(folder / "adapter_model.safetensors"))


@pytest.fixture(scope="module")
def specs(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> list[ModelSpec]:
    """The bare base, and two adapters on it."""
    place = tmp_path_factory.mktemp("adapters")
    made = [make_adapter(tiny_base, place / name, seed) for seed, name in enumerate(("old", "new"), 1)]
    return [ModelSpec("bare", str(tiny_base)), *made]


@pytest.fixture
def engine(specs: list[ModelSpec]):
    made = Engine(specs, dtype="float32", threads=1)
    yield made
    made.close()


class Heard:
    """What was told of one answer."""

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self.ended = threading.Event()

    def __call__(self, piece: Piece) -> None:
        assert not self.ended.is_set(), "told after its end"
        self.pieces.append(piece)
        if piece.finish:
            self.ended.set()

    def whole(self) -> str:
        assert self.ended.wait(60)
        return "".join(piece.text for piece in self.pieces)

    @property
    def last(self) -> Piece:
        assert self.ended.wait(60)
        return self.pieces[-1]


def ask(engine: Engine, text: str, model: str, **more: object) -> Heard:
    heard = Heard()
    engine.submit(Ask(asks(text), model, **{"max_new_tokens": N, **more}), heard)
    return heard


def test_each_row_of_a_mixed_batch_says_what_its_model_says_alone(engine, specs):
    heard = {(spec.name, text): ask(engine, text, spec.name) for text in TEXTS for spec in specs}
    said = {key: each.whole() for key, each in heard.items()}
    for spec in specs:
        alone = generate(load(spec, dtype="float32", threads=1), [asks(text) for text in TEXTS], max_new_tokens=N)
        assert [said[spec.name, text] for text in TEXTS] == alone["output"].to_list()
        last = [heard[spec.name, text].last for text in TEXTS]
        assert [each.n_output_tokens for each in last] == alone["n_output_tokens"].to_list()
        assert [each.n_input_tokens for each in last] == alone["n_input_tokens"].to_list()
        assert [each.finish for each in last] == alone["termination"].to_list()
        assert [each.confidence for each in last] == pytest.approx(alone["confidence"].to_list(), rel=1e-4)
    assert len({said[spec.name, TEXTS[2]] for spec in specs}) == 3, "the adapters change nothing"


def test_a_request_that_comes_in_the_middle_changes_no_other(engine):
    before = ask(engine, TEXTS[2], "old", max_new_tokens=60).whole()
    long = ask(engine, TEXTS[2], "old", max_new_tokens=60)
    beside = [ask(engine, text, "new") for text in TEXTS * 3]
    assert long.whole() == before
    assert [each.whole() for each in beside[:6]] == [each.whole() for each in beside[6:12]]


def test_the_batch_gives_room_back_when_rows_that_needed_it_are_gone(engine):
    for text in TEXTS * 8:
        ask(engine, text, "new", max_new_tokens=20)
    last = ask(engine, TEXTS[0], "new", max_new_tokens=200, temperature=1.5, seed=4)
    assert last.last.n_output_tokens > 0
    again = ask(engine, TEXTS[0], "new", max_new_tokens=200, temperature=1.5, seed=4)
    assert again.whole() == last.whole()


def test_the_same_seed_says_the_same_in_whatever_company(engine):
    alone = ask(engine, TEXTS[0], "new", temperature=1.0, seed=7).whole()
    crowd = [ask(engine, text, "old", temperature=1.0) for text in TEXTS]
    assert ask(engine, TEXTS[0], "new", temperature=1.0, seed=7).whole() == alone
    assert len({ask(engine, TEXTS[0], "new", temperature=2.0, seed=seed).whole() for seed in range(6)}) > 1
    assert all(each.last.finish in ("stop", "length") for each in crowd)


def test_a_nucleus_of_next_to_nothing_takes_the_likeliest_token(engine):
    greedy = ask(engine, TEXTS[4], "new").whole()
    assert ask(engine, TEXTS[4], "new", temperature=2.0, top_p=1e-9, seed=3).whole() == greedy


def test_a_stop_text_ends_the_answer_and_does_not_stand_in_it(engine):
    whole = ask(engine, TEXTS[3], "new", max_new_tokens=40).whole()
    stop = whole[6:9]
    heard = ask(engine, TEXTS[3], "new", max_new_tokens=40, stop=(stop, "never said"))
    assert heard.whole() == whole[: whole.index(stop)]
    assert heard.last.finish == "stop"
    assert heard.last.n_output_tokens < 40


def test_a_request_that_nobody_waits_for_leaves_the_batch(engine):
    heard = Heard()
    ticket = engine.submit(Ask(asks(TEXTS[1]), "new", max_new_tokens=400, temperature=3.0, seed=1), heard)
    ticket.cancel()
    assert heard.last.finish == "cancelled"
    assert heard.last.n_output_tokens < 400


def test_what_cannot_be_taken_is_refused_in_words(engine):
    with pytest.raises(UnknownModel, match="no model 'other' here\\. There: bare, old, new"):
        ask(engine, "hi", "other")
    with pytest.raises(PromptTooLong, match="exceed the model's 512") as too_long:
        ask(engine, "card " * 600, "new")
    assert too_long.value.limit == 512
    assert too_long.value.n > 500


def test_more_than_may_wait_are_told_to_come_again(specs):
    engine = Engine(specs[:1], dtype="float32", threads=1, batch=1, waiting=2)
    heard: list[Heard] = []

    def crowd() -> None:
        for _ in range(50):
            heard.append(ask(engine, TEXTS[0], "bare", max_new_tokens=300, temperature=4.0, seed=2))

    with pytest.raises(EngineFull, match="2 requests wait already"):
        crowd()
    for each in heard:
        assert each.last.finish in ("stop", "length")
    engine.close()


def test_models_are_swapped_while_requests_run_and_none_is_lost(specs):
    bare, old, new = specs
    engine = Engine([old], dtype="float32", threads=1)
    before = [ask(engine, text, "old", max_new_tokens=60) for text in TEXTS]
    engine.swap([new, bare])
    assert engine.models == ["new", "bare"]
    after = [ask(engine, text, "new") for text in TEXTS]
    with pytest.raises(UnknownModel):
        ask(engine, "hi", "old")
    said = [each.whole() for each in before]
    alone = generate(load(old, dtype="float32", threads=1), [asks(text) for text in TEXTS], max_new_tokens=60)
    assert said == alone["output"].to_list()
    assert all(each.last.finish in ("stop", "length") for each in after)
    engine.close()


def spoil_bytes(folder: Path) -> None:
    (folder / "adapter_model.safetensors").write_bytes(b"no weights")


def remove(folder: Path) -> None:
    (folder / "adapter_model.safetensors").unlink()


def other_shape(folder: Path) -> None:
    config = folder / "adapter_config.json"
    config.write_text(config.read_text().replace('"r": 4', '"r": 2'))


@pytest.mark.parametrize("spoil", [spoil_bytes, remove, other_shape])
def test_a_swap_that_fails_says_why_and_changes_nothing(tiny_base, tmp_path, specs, spoil: Callable[[Path], None]):
    engine = Engine(specs[:2], dtype="float32", threads=1)
    said = ask(engine, TEXTS[0], "old").whole()
    broken = make_adapter(tiny_base, tmp_path / "broken", 9)
    spoil(tmp_path / "broken")
    with pytest.raises(ModelError, match="adapter in"):
        engine.swap([specs[1], specs[2], broken])
    assert engine.models == ["bare", "old"]
    assert ask(engine, TEXTS[0], "old").whole() == said
    engine.swap([specs[2]])
    assert ask(engine, TEXTS[0], "new").last.finish in ("stop", "length")
    engine.close()


def test_two_bases_do_not_go_together(specs, tiny_base, tmp_path):
    elsewhere = ModelSpec("other", str(tmp_path))
    with pytest.raises(ModelError, match="adapters share one base"):
        Engine([specs[0], elsewhere], dtype="float32")


def test_a_failing_batch_ends_its_own_requests_and_the_engine_goes_on(engine, monkeypatch):
    held = engine._held
    whole = held.logits

    def failing(adapters, **inputs):
        if held.adapter("old") in adapters:
            raise RuntimeError("out of memory\nmore lines")
        return whole(adapters, **inputs)

    monkeypatch.setattr(held, "logits", failing)
    lost = ask(engine, "hi", "old")
    assert (lost.last.finish, lost.last.error, lost.whole()) == ("error", "out of memory", "")
    assert ask(engine, "hi", "new").last.finish in ("stop", "length")


def test_an_engine_that_was_closed_takes_nothing_and_ends_what_waits(specs):
    engine = Engine(specs[:1], dtype="float32", threads=1)
    heard = [ask(engine, text, "bare", max_new_tokens=400, temperature=4.0, seed=5) for text in TEXTS]
    engine.close()
    assert all(each.ended.is_set() for each in heard)
    with pytest.raises(EngineClosed, match="it was closed"):
        ask(engine, "hi", "bare")
    with pytest.raises(EngineClosed):
        engine.swap(specs)
