"""`--help` is the snapshot tests/help.txt, fits on a screen and a half, and says what is there."""

from __future__ import annotations

import re
import shutil
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from gpt2lab import helptext
from gpt2lab.__main__ import VERBS
from gpt2lab.config import Knobs

CONF = Path(__file__).parent.parent / "conf"
SNAPSHOT = Path(__file__).parent / "help.txt"


def test_help_is_the_snapshot() -> None:
    wanted = SNAPSHOT.read_text(encoding="utf-8")
    assert helptext.help_text() + "\n" == wanted, "if meant: python -m gpt2lab --help > tests/help.txt"


def test_help_fits_on_a_screen_and_a_half() -> None:
    lines = helptext.help_text().splitlines()
    assert len(lines) <= 50 and max(map(len, lines)) <= 110


def test_help_shows_every_group_choice_default_verb_and_knob() -> None:
    lines = helptext.help_text().splitlines()
    shown = {m[1]: m[2] for m in (re.match(r"  (\+?\w+)= +(.+)", line) for line in lines) if m}
    config = yaml.safe_load((CONF / "config.yaml").read_text(encoding="utf-8"))
    defaults = {k: v for entry in config["defaults"] if isinstance(entry, dict) for k, v in entry.items()}
    folders = [p for p in CONF.iterdir() if p.is_dir()]
    assert {f.name for f in folders} == {*defaults, "experiment"}
    for folder in folders:
        files = {p.stem for p in folder.glob("*.yaml")}
        choices = shown[folder.name if folder.name in defaults else f"+{folder.name}"].split(" | ")
        assert files and set(choices) == files and len(choices) == len(files)
        assert folder.name not in defaults or choices[0] == defaults[folder.name]
    for field in fields(Knobs):
        value, comment = re.split(r"  +", shown[field.name], maxsplit=1)
        assert yaml.safe_load(value) == config[field.name] and len(comment) > 5
    assert all(f"python -m gpt2lab {verb} " in helptext.help_text() for verb in VERBS)
    assert len([line for line in lines[lines.index("Examples") + 1 :] if line.startswith("  python -m gpt2lab ")]) == 3


def test_help_without_recipes_leaves_their_line_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(CONF, tmp_path / "conf")
    monkeypatch.setattr(helptext, "conf_dir", lambda: tmp_path / "conf")
    assert "+experiment=" in helptext.help_text()
    for recipe in (tmp_path / "conf" / "experiment").glob("*.yaml"):
        recipe.unlink()
    assert "experiment" not in helptext.help_text()
    (tmp_path / "conf" / "experiment").rmdir()
    assert "experiment" not in helptext.help_text()
