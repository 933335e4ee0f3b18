"""One tiny finished run, shared by the tests that ask what a run leaves behind."""

from __future__ import annotations

from pathlib import Path

import pytest

SMALL = [
    "task=squad", "model=mini", "adapter=lora", "rank=4", "max_steps=4", "batch_size=4", "hardware.threads=1",
    "task.bundled_train_passages=60", "task.bundled_eval_passages=20", "validation.max_examples=6",
    "validation.every=2", "checkpoint.every=1",
]  # fmt: skip


@pytest.fixture(scope="session")
def small() -> list[str]:
    """Overrides of a run of a few seconds."""
    return list(SMALL)


@pytest.fixture(scope="session")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An outputs folder that holds one finished run, tracked in its own MLflow store."""
    from gpt2lab.__main__ import main

    folder = tmp_path_factory.mktemp("outputs")
    assert main([*SMALL, f"outputs={folder}"]) == 0
    return folder


@pytest.fixture(scope="session")
def finished(outputs: Path) -> Path:
    """The folder of that run."""
    (found,) = outputs.glob("squad/*/metrics.json")
    return found.parent
