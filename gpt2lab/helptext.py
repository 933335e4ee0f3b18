"""`python -m gpt2lab --help`, written from the YAML alone: no torch, no Hydra, nothing to keep in step."""

from __future__ import annotations

import re
from pathlib import Path

EXAMPLES = """\
Examples
  python -m gpt2lab task=squad adapter=lora rank=32
  python -m gpt2lab --multirun rank=4,8,16,32 lr=1e-4,2e-4,5e-4 targets=attention,attention+projection
  python -m gpt2lab predict run=last question="Who ...?" context="..."
"""


def conf_dir() -> Path:
    """The folder of config groups: the wheel's `gpt2lab/conf`, or the checkout's `conf` beside the package."""
    package = Path(__file__).resolve().parent
    return package / "conf" if (package / "conf").is_dir() else package.parent / "conf"


def group_choices(conf: Path | None = None) -> dict[str, list[str]]:
    """Every config group with its choices, from the file names."""
    folders = sorted(p for p in (conf or conf_dir()).iterdir() if p.is_dir())
    return {f.name: sorted(p.stem for p in f.glob("*.yaml")) for f in folders}


def help_text() -> str:
    """The help page: verbs, groups with choices and defaults, knobs with values and units, examples."""
    text = (conf_dir() / "config.yaml").read_text(encoding="utf-8")
    defaults = dict(re.findall(r"^  - (\w+): (\S+)$", text, re.MULTILINE))
    knobs = re.findall(r"^(\w+): (\S+)  # (.+)$", text, re.MULTILINE)
    choices = group_choices()
    lines = ["gpt2lab: fine-tune GPT-2 and learn what it cost and how sure you are", "",
             "  python -m gpt2lab [key=value ...]                train and evaluate one run",
             "  python -m gpt2lab --multirun key=a,b ...         a grid of runs",
             "  python -m gpt2lab predict run=... ...            ask a finished run",
             "  python -m gpt2lab prepare tokenizer out=... ...  make a vocabulary", "",
             "Groups (default first)"]  # fmt: skip
    for group, default in defaults.items():
        others = [c for c in choices[group] if c != default]
        lines.append(f"  {group + '=':<14} {' | '.join([default, *others])}")
    for group in (g for g in choices if g not in defaults and choices[g]):
        lines.append(f"  {f'+{group}=':<14} {' | '.join(choices[group])}")
    lines += ["", "Knobs (default)"]
    for name, value, comment in knobs:
        lines.append(f"  {name + '=':<14} {value:<21} {comment}")
    lines += ["", "Every other key:   python -m gpt2lab --cfg job [key=value ...]",
              """Shell completion:  eval "$(gpt2lab -sc install=bash)"  (or zsh, fish); then gpt2lab task=<TAB>""", "",
              EXAMPLES.rstrip()]  # fmt: skip
    return "\n".join(lines)
