"""Make what training needs beforehand: `python -m gpt2lab prepare tokenizer out=... [vocab_size=1024] [in=...]`."""

from __future__ import annotations

from pathlib import Path

from gpt2lab.errors import UserError
from gpt2lab.predict import parse
from gpt2lab.schema import nearest

VERBS = ("tokenizer",)
KEYS = ("out", "vocab_size", "documents", "in", "debug")


def main(arguments: list[str]) -> int:
    """Dispatch to what is to be prepared."""
    what, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if what not in VERBS:
        raise UserError(f"prepare {what}: {nearest(what, VERBS)}valid: {', '.join(VERBS)}")
    return tokenizer(rest)


def tokenizer(arguments: list[str]) -> int:
    """Train a byte-level BPE on generated documents and, if `in=` is given, on the text there."""
    from gpt2lab.model.tokenizer import train_bpe
    from gpt2lab.task.text import documents

    values = parse(arguments, KEYS, required=("out",))
    numbers = {"vocab_size": 1024, "documents": 20_000}
    for key in numbers:
        if key in values:
            if not values[key].isdigit() or int(values[key]) < 1:
                raise UserError(f"{key}={values[key]}: must be a whole number >= 1")
            numbers[key] = int(values[key])
    out = Path(values["out"]).expanduser()
    if (out / "tokenizer.json").exists():
        raise UserError(f"out={out}: holds a tokenizer already; give another folder")
    path = values.get("in")
    if path and not Path(path).expanduser().exists():
        raise UserError(f"in={path}: no such file or folder")
    out.mkdir(parents=True, exist_ok=True)
    train_bpe((row["text"] for row in documents(path, numbers["documents"])), numbers["vocab_size"], out)
    print(f"{out}: a byte-level BPE of {numbers['vocab_size']:,} tokens")
    return 0
