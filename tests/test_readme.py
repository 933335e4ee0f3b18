"""The README's commands, as they stand there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from gpt2lab.__main__ import main

README = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    shlex.split(line)[3:]
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("python -m gpt2lab")
]
TRAINING = [c for c in COMMANDS if "=" in c[0] or c[0].startswith("-")]


def test_there_are_commands() -> None:
    assert len(TRAINING) >= 2 and any(c[0] == "predict" for c in COMMANDS)


@pytest.mark.parametrize("command", TRAINING, ids=" ".join)
def test_training_commands_plan_what_they_say(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    extra = ["dry_run=true", "model=mini", f"outputs={tmp_path}"]
    assert main([*command, *(w for w in extra if w.split("=")[0] not in {c.split("=")[0] for c in command})]) == 0
    out = capsys.readouterr().out
    cells = 24 if "--multirun" in command else 1
    assert out.count("nothing was started") == cells


def test_predict_command(outputs: Path, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (command,) = [c for c in COMMANDS if c[0] == "predict"]
    assert main([*command, f"outputs={outputs}"]) == 0
    assert str(finished) in capsys.readouterr().out


def test_make_targets_named_exist() -> None:
    makefile = (Path(__file__).resolve().parent.parent / "Makefile").read_text()
    named = set(re.findall(r"`?make ([a-z-]+)", README))
    assert len(named) >= 6
    assert not [target for target in named if f"\n{target}:" not in makefile]
