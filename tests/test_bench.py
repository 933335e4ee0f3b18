"""The benchmark compares like with like: same examples, same counts, every difference said."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from gpt2lab import bench
from gpt2lab.fit import Prepared

STEPS, BATCH, ROUNDS, WIDTH = 2, 4, 1, 32
# bf16, native here or not: a tuned Trainer must be able to follow the stock one, which runs in fp32
TINY = ["model=mini", "model.n_layer=2", "model.n_head=2", f"model.n_embd={WIDTH}", "precision=bf16", "hardware=cpu",
        "hardware.threads=1"]  # fmt: skip


@pytest.fixture(scope="module")
def measured() -> Iterator[tuple[Prepared, bench.Results]]:
    """One short measurement on a model of two layers."""
    threads = torch.get_num_threads()
    yield bench.measure(TINY, STEPS, BATCH, ROUNDS)
    torch.set_num_threads(threads)


def test_all_variants_see_the_same_examples_once_a_round(measured: tuple[Prepared, bench.Results]) -> None:
    _, results = measured
    assert [(v.name, v.dropout, v.precision) for v in results] == [
        ("Trainer stock", 0.1, "fp32"), ("Trainer tuned", 0.0, "bf16"), ("gpt2lab", 0.0, "bf16"),
        ("gpt2lab", 0.1, "bf16")]  # fmt: skip
    for meters in results.values():
        assert len(meters) == ROUNDS
        for meter in meters:
            assert sorted(meter.rows) == list(range(STEPS * BATCH))
            assert meter.done == STEPS and meter.speed > 0


def test_useful_tokens_are_the_tokens_of_the_texts(measured: tuple[Prepared, bench.Results]) -> None:
    """Counted from the raw texts: question, context and two separators; here every question has one window."""
    from gpt2lab.model.tokenizer import load_tokenizer

    prepared, results = measured
    tokenizer, rows = load_tokenizer(prepared.base.tokenizer), prepared.splits.train
    assert len(rows) == STEPS * BATCH == len(prepared.features["train"])
    texts = [text for q, c in zip(rows["question"], rows["context"], strict=True) for text in (q, "\n", c, "\n")]
    expected = sum(len(tokenizer(text)["input_ids"]) for text in texts)
    assert {meter.tokens for meters in results.values() for meter in meters} == {expected}


def test_stock_pads_to_the_limit_and_the_others_to_the_batch(measured: tuple[Prepared, bench.Results]) -> None:
    prepared, results = measured
    limit, lengths = prepared.config.task.max_length, prepared.features["train"]["length"]
    for variant, (meter, *_) in results.items():
        if variant.tuned:
            batches = [meter.rows[i : i + BATCH] for i in range(0, STEPS * BATCH, BATCH)]
            assert meter.slots == sum(max(lengths[i] for i in batch) * BATCH for batch in batches)
        else:
            assert meter.slots == STEPS * BATCH * limit


def test_all_variants_train_as_many_parameters(measured: tuple[Prepared, bench.Results]) -> None:
    """LoRA's r (in + out) on c_attn (d, 3d), attn.c_proj (d, d) and mlp.c_proj (4d, d), and the span head."""
    expected = 2 * 32 * (4 + 2 + 5) * WIDTH + 2 * WIDTH + 2
    assert {meter.trainable for meters in measured[1].values() for meter in meters} == {expected}


def test_table_gives_ratios_spread_and_what_is_unequal(measured: tuple[Prepared, bench.Results]) -> None:
    results: bench.Results = {}
    for name, dropout, precision, speeds in (
        ("Trainer stock", 0.1, "fp32", (100.0, 100.0, 100.0)),
        ("Trainer tuned", 0.0, "bf16", (200.0, 200.0, 250.0)),
        ("gpt2lab", 0.0, "bf16", (150.0, 450.0, 300.0)),
    ):
        meters = [bench.Meter(list, 1, 1, rows=[0], tokens=30, slots=40, done=1, speed=s) for s in speeds]
        results[bench.Variant(name, bench.ours, False, dropout, precision)] = meters
    stock, tuned, ours = bench.lines(measured[0], results)[-4:-1]
    assert stock.split()[:6] == ["Trainer", "stock", "0.1", "fp32", "25%", "100"]
    assert "1.00 (1.00-1.00)" in stock and "0.50 (0.40-0.50) dp" in stock
    assert "2.00 (2.00-2.50) dp" in tuned
    assert "3.00 (1.50-4.50) dp" in ours and ours.rstrip().endswith("1.20 (0.75-2.25)")


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("stepz=3", "did you mean steps?"),
        ("model=124", "did you mean 124m?"),
        ("steps=0", "steps=0: must be a whole number >= 1"),
        ("rounds=two", "rounds=two: must be a whole number >= 1"),
    ],
)
def test_a_wrong_argument_is_one_line(word: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main([word]) == 2
    out, err = capsys.readouterr()
    assert out == "" and says in err and err.count("\n") == 1
