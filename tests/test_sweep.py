"""A grid: its cells, what collapses, what is refused before the first job, and what a failed cell does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gpt2lab import pipeline, sweep
from gpt2lab.config import Composed
from gpt2lab.errors import UserError

BASE = ["model=mini", "model.init=random", "tracking=none"]
Jobs = list[Composed]


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Jobs:
    """The cells that were started, in an empty working folder; a run with rank 5 fails, with rank 6 by our fault."""
    started: Jobs = []

    def run(composed: Composed, session: object = None) -> dict[str, Any]:
        started.append(composed)
        if composed.config.rank == 5:
            raise UserError("rank=5: not today")
        if composed.config.rank == 6:
            raise KeyError("six")
        return {"eval/f1": 1.0}

    monkeypatch.setattr(pipeline, "run", run)
    monkeypatch.chdir(tmp_path)
    return started


def varied(words: list[str]) -> list[dict[str, str]]:
    return [cell.varied for cell in sweep.cells(words)]


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(UserError) as caught:
        act()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_cells_are_the_product_in_the_order_typed() -> None:
    cells = varied(["rank=4,8", "lr=1e-3,2e-3", "seed=1"])
    assert cells == [{"rank": r, "lr": lr, "seed": "1"} for r in ("4", "8") for lr in ("0.001", "0.002")]
    assert [c.config.adapter.rank for c in sweep.cells(["rank=4,8"])] == [4, 8]


@pytest.mark.parametrize(
    ("word", "values"),
    [
        ("rank=range(4,8,2)", ["4", "6"]), ("rank=choice(8,4)", ["8", "4"]), ("rank=4,8,4", ["4", "8"]),
        ("adapter=glob(*)", ["full", "head", "lora", "none"]), 
        ("adapter=glob([*],exclude=[f*])", ["head", "lora", "none"]),
        ("targets=attention,[attn.c_attn,mlp.c_fc]", ["attention", "[attn.c_attn,mlp.c_fc]"]), ("rank=4", ["4"]),
    ],
)  # fmt: skip
def test_values_of_a_sweep(word: str, values: list[str]) -> None:
    assert [cell[word.split("=")[0]] for cell in varied([word])] == values


def test_recipes_can_be_swept() -> None:
    cells = sweep.cells(["+experiment=glob(*)"])
    assert {"squad_mini", "pretrain_mini"} <= {cell.varied["experiment"] for cell in cells}


def test_a_knob_that_some_cells_do_not_use_collapses_them() -> None:
    cells = varied(["adapter=head,lora", "rank=4,8"])
    assert cells == [{"adapter": "head"}, {"adapter": "lora", "rank": "4"}, {"adapter": "lora", "rank": "8"}]
    cells = varied(["adapter=none,lora", "lr=1,2", "dropout=0,0.1", "precision=fp32,bf16"])
    assert [cell["adapter"] for cell in cells] == ["none"] + ["lora"] * 8


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["adapter=head,full", "rank=4,8"], "rank: no cell of this grid uses it"),
        (["adapter=head,none", "rank=4"], "rank: no cell of this grid uses it"),
        (["hardware=cpu,cuda", "rank=4,8"], "hardware=cpu,cuda: no result depends on hardware"),
        (["hydra.run.dir=a,b"], "hydra.run.dir=a,b: no result depends on"),
        (["rank=4,8,hello"], "rank=hello: must be a whole number >= 1"),
        (["task=squad,sqad"], "task=sqad: no such task; did you mean squad? "),
        (["rank=4,8", "rank=3"], "rank: given twice (rank=4, rank=3)"),
        (["rank=interval(1,2)"], "rank=interval(1,2): no values to list"),
        (["rank=range(1,9,0)"], "rank=range(1,9,0): no values to list"),
        (["adapter=glob(x*)"], "adapter=glob(x*): no values to list"),
        (["seed=range(0,100000000000)"], "--multirun: more than 10,000 cells"),
        (["seed=range(0,200)", "rank=range(1,200)"], "--multirun: more than 10,000 cells"),
    ],
)
def test_a_grid_that_is_refused(words: list[str], line: str) -> None:
    assert refusal(lambda: sweep.cells(words)).startswith(line)


def test_every_cell_is_checked_before_the_first_starts(jobs: Jobs, tmp_path: Path) -> None:
    cells = sweep.cells([*BASE, "targets=attention,attention+projection,nope"])
    assert len(cells) == 3
    assert refusal(lambda: sweep.run(cells)).startswith("targets=nope: matches no projection; ")
    assert jobs == [] and list(tmp_path.iterdir()) == []
    assert sweep.run(cells[:2]) == 0
    assert [job.config.targets for job in jobs] == ["attention", "attention+projection"]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["targets=[attn.c_attn,nope]"], "targets=nope: matches no projection"),
        (["targets=attn.c_atn"], "targets=attn.c_atn: matches no projection; did you mean attn.c_attn? "),
        (["task=text", "adapter=head"], "adapter=head: this task's model has no head of its own"),
        (["hardware.device=tpu"], "hardware.device=tpu: "),
        (["model.n_head=5"], "model.n_head=5 does not divide"),
    ],
)
def test_check_needs_neither_weights_nor_data(words: list[str], line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("load", "read_model"):
        monkeypatch.setattr(f"gpt2lab.model.base.{name}", None)
    (cell,) = sweep.cells([*BASE, *words])
    assert refusal(lambda: sweep.check(cell, pipeline.Session())).startswith(line)
    for adapter in ("lora", "head", "full", "none"):
        sweep.check(sweep.cells([*BASE, f"adapter={adapter}"])[0], pipeline.Session())


def test_a_failed_cell_stops_no_other(jobs: Jobs, capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep.run(sweep.cells([*BASE, "rank=4,5,6,7"])) == 1
    out, err = capsys.readouterr()
    assert [job.config.rank for job in jobs] == [4, 5, 6, 7]
    lines = (out + err).splitlines()
    assert "2 of 4 cells finished" in lines and "Traceback" not in out + err
    assert "failed: rank=5: rank=5: not today" in lines
    assert any(line.startswith("failed: rank=6: KeyError, a bug, see debug=true") for line in lines)


def test_the_traceback_of_a_failed_cell_with_debug(jobs: Jobs, capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep.run(sweep.cells([*BASE, "debug=true", "rank=6,7"])) == 1
    assert "Traceback" in capsys.readouterr().err and len(jobs) == 2


def test_every_cell_has_its_own_folder_below_hydra_run_dir(jobs: Jobs) -> None:
    assert sweep.run(sweep.cells([*BASE, "hydra.run.dir=runs/grid", "targets=attention,all"])) == 0
    folders = [job.folder for job in jobs]
    assert all(folder is not None and folder.parent == Path("runs/grid") for folder in folders)
    names = [folder.name for folder in folders if folder]
    assert names[0].startswith("targets=attention-") and names[1].startswith("targets=all-")


def test_cells_of_like_names_have_different_folders(jobs: Jobs, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.json").write_text("{}")
    assert sweep.run(sweep.cells([*BASE, "hydra.run.dir=grid", "task.train_file=a/x.json,b/x.json"])) == 0
    assert len({job.folder for job in jobs}) == 2


def test_dry_run_shows_every_cell_and_starts_no_sweep(jobs: Jobs, capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep.run(sweep.cells([*BASE, "dry_run=true", "rank=4,8"])) == 0
    out = capsys.readouterr().out
    assert len(jobs) == 2 and "rank=4" in out and "rank=8" in out and "finished" not in out


def test_the_base_is_decided_once_for_all_cells(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    from gpt2lab.model import base

    asked: list[str] = []
    resolve = base.resolve
    monkeypatch.setattr(base, "resolve", lambda config: asked.append(config.name) or resolve(config))
    assert sweep.run(sweep.cells([*BASE, "rank=4,7,8"])) == 0
    assert asked == ["mini"] and len(jobs) == 3
