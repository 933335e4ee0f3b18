"""Asking a finished run, and asking wrongly."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gpt2lab.__main__ import main

CONTEXT = "Ralla Melorby took a boat over Lake Keliger. Her brother stayed at home."


def test_last_run_answers_with_spans_of_the_context(
    outputs: Path, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    question = "Over what water did Ralla Melorby sail?"
    assert main(["predict", "run=last", f"outputs={outputs}", f"question={question}", f"context={CONTEXT}"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head == f"run: {finished}"
    assert lines and all(line[9:] in CONTEXT or line.split("%  ")[1] in CONTEXT for line in lines)
    shares = [float(line.split("%")[0]) for line in lines]
    assert shares == sorted(shares, reverse=True) and 0 < sum(shares) <= 100.5


def test_predict_agrees_with_the_runs_own_predictions(outputs: Path, finished: Path) -> None:
    from gpt2lab.data.synthetic.squad import generate
    from gpt2lab.predict import answer

    predictions = json.loads((finished / "predictions.json").read_text())
    paragraph = generate(20, 0, "evaluation")["data"][0]["paragraphs"][0]
    for qa in paragraph["qas"]:
        assert answer(finished, qa["question"], paragraph["context"])[0]["text"] == predictions[qa["id"]]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run=nowhere", "question=Who?", "context=He."], "no finished run has this in its name; the nearest is"),
        (["question=Who?"], "context=...: missing"),
        (["question=", "context=He."], "question=...: missing or empty"),
        (["questoin=Who?", "context=He."], "did you mean question?"),
        (["question=Who?", "question=Why?", "context=He."], "given twice"),
    ],
)
def test_a_wrong_question_is_one_line(
    words: list[str], message: str, outputs: Path, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", f"outputs={outputs}", *words]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_no_run_yet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", f"outputs={tmp_path}", "question=Who?", "context=He."]) == 2
    assert "train one first" in capsys.readouterr().err
