"""What a run leaves behind, how it is found again, and that a broken start leaves nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from gpt2lab.__main__ import main
from gpt2lab.task.metrics.squad import squad_metric

HISTORY = {"step", "loss", "lr", "grad_norm", "precision", "executed", "tokens", "seconds"}


def read(path: Path) -> dict:
    return json.loads(path.read_text())


def test_the_files_of_the_design_are_there(finished: Path) -> None:
    names = {p.name for p in finished.iterdir()}
    assert {"config.yaml", "metrics.json", "history.jsonl", "predictions.json", "adapter", "checkpoints",
            "environment.json"} <= names  # fmt: skip
    metrics = read(finished / "metrics.json")
    assert metrics["base"] == "mini" and metrics["data"] == "bundled"
    # 24 projections of 192: c_attn 192+576, attn.c_proj 192+192, mlp.c_proj 768+192, in 6 blocks; the head 2 * 193
    assert metrics["params/trainable"] == 6 * 4 * (192 + 576 + 192 + 192 + 768 + 192) + 2 * 193
    assert metrics["eval/n"] == 40 and metrics["train/steps"] == 4
    assert metrics["eval/f1_low"] <= metrics["eval/f1"] <= metrics["eval/f1_high"]
    assert metrics["adapter/scale"] == 16 / 4
    for key in ("train/tokens_per_second", "train/seconds", "memory/peak_bytes", "params/total"):
        assert metrics[key] > 0
    environment = read(finished / "environment.json")
    assert environment["seed"] == 42 and environment["packages"]["torch"] == torch.__version__
    assert environment["hardware"]["threads"] == 1


def test_history_has_a_line_a_step_with_what_was_executed(finished: Path) -> None:
    rows = [json.loads(line) for line in (finished / "history.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert all(row.keys() >= HISTORY for row in rows)
    assert all(row["precision"] == row["executed"] for row in rows)
    assert ["validation/loss" in row for row in rows] == [False, True, False, True]
    assert sum(row["tokens"] for row in rows) == read(finished / "metrics.json")["train/tokens"]


def test_the_reported_figures_are_those_of_the_predictions(finished: Path) -> None:
    """Scored again from predictions.json by the evaluate.Metric, against answers generated anew."""
    from gpt2lab.data.synthetic.squad import generate

    predictions = read(finished / "predictions.json")
    questions = [
        qa for article in generate(20, 0, "evaluation")["data"] for p in article["paragraphs"] for qa in p["qas"]
    ]
    assert {qa["id"] for qa in questions} == predictions.keys()
    references = [
        {"id": qa["id"], "answers": {k: [a[k] for a in qa["answers"]] for k in ("text", "answer_start")}}
        for qa in questions
    ]
    again = squad_metric().compute(
        predictions=[{"id": k, "prediction_text": v} for k, v in predictions.items()], references=references
    )
    metrics = read(finished / "metrics.json")
    assert again["f1"] == pytest.approx(metrics["eval/f1"])
    assert again["exact_match"] == pytest.approx(metrics["eval/exact_match"])


def test_mlflow_has_the_run(outputs: Path, finished: Path) -> None:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{outputs / 'mlflow.db'}")
    (experiment,) = [e for e in client.search_experiments() if e.name == "gpt2lab"]
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED" and run.info.run_name == finished.name
    assert run.data.params["adapter.rank"] == "4"
    assert run.data.tags["base"] == "mini" and run.data.tags["data"] == "bundled"
    assert run.data.tags["task"] == "squad" and run.data.tags["precision"] in ("fp32", "bf16")
    losses = client.get_metric_history(run.info.run_id, "train/loss")
    assert [m.step for m in losses] == [1, 2, 3, 4]
    assert {i.tags[0].value for i in run.inputs.dataset_inputs} == {"train", "validation", "evaluation"}
    assert run.data.metrics["eval/f1"] == pytest.approx(read(finished / "metrics.json")["eval/f1"])
    assert {"metrics.json", "config.yaml", "adapter"} <= {f.path for f in client.list_artifacts(run.info.run_id)}


def test_the_same_command_finds_its_run_and_rerun_begins_anew(
    small: list[str], outputs: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "outputs"
    shutil.copytree(finished, copy / "squad" / finished.name)
    command = [*small, f"outputs={copy}", "tracking=none"]
    before = (finished / "metrics.json").read_text()
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "finished before" in out and "eval/f1" in out
    assert main([*command, "rerun=true"]) == 0
    runs = sorted(p.parent.name for p in copy.glob("squad/*/metrics.json"))
    assert runs == [finished.name, f"{finished.name}.2"]
    assert (copy / "squad" / finished.name / "metrics.json").read_text() == before


def test_an_unfinished_run_goes_on_and_ends_with_the_same_weights(
    small: list[str], finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "squad" / finished.name
    shutil.copytree(finished, folder)
    for name in ("metrics.json", "predictions.json"):
        (folder / name).unlink()
    shutil.rmtree(folder / "adapter")
    shutil.rmtree(folder / "checkpoints" / "step-0000004")
    assert (folder / "checkpoints" / "step-0000003").exists()
    assert main([*small, f"outputs={tmp_path}", "tracking=none"]) == 0
    assert "begun before and not finished" in capsys.readouterr().out
    first, second = (load_file(f / "adapter" / "adapter_model.safetensors") for f in (finished, folder))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[k], second[k]) for k in first)
    assert len((folder / "history.jsonl").read_text().splitlines()) == 4


def test_dry_run_prints_the_plan_and_writes_nothing(
    small: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*small, f"outputs={tmp_path / 'o'}", "dry_run=true"]) == 0
    out = capsys.readouterr().out
    for word in ("base: mini; data: bundled", "trainable 51,074 of total", "steps: 4", "memory", "nothing was started"):
        assert word in out
    assert not (tmp_path / "o").exists()


def test_a_given_folder_is_used_and_another_run_in_it_is_not_overwritten(
    small: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [
        *small,
        "tracking=none",
        f"outputs={tmp_path / 'o'}",
        f"hydra.run.dir={tmp_path / 'here'}",
        "max_steps=1",
    ]
    command.remove("max_steps=4")
    assert main(command) == 0
    assert yaml.safe_load((tmp_path / "here" / "config.yaml").read_text())["rank"] == 4
    before = (tmp_path / "here" / "metrics.json").read_text()
    assert main([*command, "seed=7"]) == 2
    assert "holds another run" in capsys.readouterr().err
    assert (tmp_path / "here" / "metrics.json").read_text() == before


def test_adapter_none_evaluates_only(small: list[str], tmp_path: Path) -> None:
    words = [w for w in small if not w.startswith(("adapter", "rank", "max_steps", "batch_size", "validation"))]
    assert main([*words, "adapter=none", "tracking=none", f"hydra.run.dir={tmp_path / 'r'}"]) == 0
    metrics = read(tmp_path / "r" / "metrics.json")
    assert metrics["params/trainable"] == 0 and metrics["train/steps"] == 0 and metrics["eval/n"] == 40


def test_a_sweep_is_a_parent_with_children_and_a_failed_cell_does_not_stop_the_others(
    small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from mlflow.tracking import MlflowClient

    from gpt2lab import fit
    from gpt2lab.errors import UserError

    whole = fit.train_and_score

    def fails_at_rank_2(prepared: fit.Prepared, *rest: object) -> dict:
        if prepared.config.rank == 2:
            raise UserError("rank 2 is broken on purpose")
        return whole(prepared, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(fit, "train_and_score", fails_at_rank_2)
    words = [w for w in small if not w.startswith(("rank", "max_steps"))]
    assert main(["--multirun", *words, "max_steps=1", "rank=1,2,3", f"outputs={tmp_path}"]) == 1
    out = capsys.readouterr().out
    assert "3 cells over rank" in out and "2 of 3 cells finished" in out
    assert "failed: rank=2: rank 2 is broken on purpose" in out
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    runs = client.search_runs([e.experiment_id for e in client.search_experiments()])
    parents = [r for r in runs if "mlflow.parentRunId" not in r.data.tags]
    children = [r for r in runs if "mlflow.parentRunId" in r.data.tags]
    assert len(parents) == 1 and len(children) == 3
    assert {r.data.tags["mlflow.parentRunId"] for r in children} == {parents[0].info.run_id}
    assert sorted(r.info.status for r in children) == ["FAILED", "FINISHED", "FINISHED"]


def test_a_wrong_adapter_count_is_refused(small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gpt2lab import pipeline

    monkeypatch.setattr(pipeline, "trainable_parameters", lambda model: 1)
    assert main([*small, "tracking=none", f"outputs={tmp_path}"]) == 1
    assert not list(tmp_path.rglob("config.yaml"))


def test_file_that_is_not_squad_is_one_line_and_starts_nothing(
    small: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text('{"rows": []}')
    assert main([*small, f"task.train_file={broken}", f"outputs={tmp_path / 'o'}", "tracking=none"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "broken.json" in error and "expected SQuAD" in error
    assert not (tmp_path / "o").exists()


def test_a_run_that_another_process_is_at_is_left_alone(
    small: list[str], finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from gpt2lab import runs

    folder = tmp_path / "squad" / finished.name
    shutil.copytree(finished, folder)
    (folder / "metrics.json").unlink()
    before = (folder / "history.jsonl").read_text()
    with runs.locked(folder):
        assert main([*small, f"outputs={tmp_path}", "tracking=none"]) == 2
    assert "another process is at this run" in capsys.readouterr().err
    assert (folder / "history.jsonl").read_text() == before and not (folder / "metrics.json").exists()
