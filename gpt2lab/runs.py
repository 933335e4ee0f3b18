"""A run's folder: its name, its files, and how a run is found again."""

from __future__ import annotations

import contextlib
import difflib
import fcntl
import json
import os
import platform
import re
import subprocess
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from gpt2lab.errors import UserError

LONGEST_NAME = 120
LOCK = ".lock"
PACKAGES = ("torch", "transformers", "peft", "accelerate", "datasets", "mlflow", "hydra-core", "omegaconf")


def slug(text: str) -> str:
    """Letters, digits and `=+._,-` alone, so that no name leaves its folder; paths by their last part."""
    text = re.sub(r"[^/\s]*/", "", text) if "/" in text else text
    return re.sub(r"[^A-Za-z0-9=+._,-]+", "-", text).strip(".-") or "x"


def run_name(base: str, data: str, adapter: str, varied: dict[str, str], digest: str) -> str:
    """`<base>-<data>-<adapter>-<what was varied>-<hash>`; base and data always, the rest cut to a bearable length."""
    silent = ("task", "model", "adapter", "outputs", "dry_run", "rerun", "debug", "fallback", "model.path",
              "task.train_file", "task.eval_file")  # fmt: skip
    told = (k for k in varied if k not in silent and k.split(".")[0] not in ("tracking", "hardware"))
    changes = [varied[k] if k == "experiment" else f"{k}={varied[k]}" for k in told]
    head = "-".join(slug(part.split("@")[0].replace(":", "-")) for part in (base, data)) + f"-{slug(adapter)}"
    body = "-".join([head, *(slug(c) for c in changes)])
    return f"{body[:LONGEST_NAME]}-{digest}"


def find_or_name(root: Path, name: str, digest: str, rerun: bool) -> Path:
    """The folder of the run with this identity if there is one, else a new one; `rerun` makes a new one beside it."""
    existing = sorted(root.glob(f"*-{digest}")) + sorted(root.glob(f"*-{digest}.[0-9]*"))
    if existing and not rerun:
        return max(existing, key=lambda p: p.stat().st_mtime)
    folder, count = root / name, 1
    while folder.exists():
        count += 1
        folder = root / f"{name}.{count}"
    return folder


def outputs_folder(outputs: str) -> Path:
    """The folder of runs, absolute; `~` is the home folder."""
    return Path(os.path.expanduser(outputs)).resolve()


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a run's folder; UserError if another process does. The system lets go of it when the process ends."""
    with (folder / LOCK).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{folder}: another process is at this run; wait for it, or give another "
                            "hydra.run.dir") from None  # fmt: skip
        yield


def is_finished(folder: Path) -> bool:
    """metrics.json is written last."""
    return (folder / "metrics.json").is_file()


def all_runs(outputs: Path) -> list[Path]:
    """Every run folder below `outputs`, oldest first."""
    other = {"mlartifacts", "checkpoints"}  # MLflow keeps copies of the same files
    found = [p.parent for p in outputs.rglob("config.yaml") if not other & set(p.relative_to(outputs).parts)]
    return sorted(found, key=lambda p: (p / "config.yaml").stat().st_mtime)


def find(outputs: Path, which: str) -> Path:
    """The finished run that `which` means: `last`, a folder, or any unique part of a name."""
    if which != "last" and is_finished(Path(which)):
        return Path(which)
    runs = [r for r in all_runs(outputs) if is_finished(r)]
    if not runs:
        raise UserError(f"run={which}: no finished run under {outputs}; train one first: python -m gpt2lab")
    if which == "last":
        return runs[-1]
    names = [r.name for r in runs]
    matches = [r for r in runs if which in r.name]
    exact = [r for r in matches if r.name == which]
    if len(exact or matches) == 1:
        return (exact or matches)[0]
    if not matches:
        near = difflib.get_close_matches(which, [r.name for r in runs], n=1, cutoff=0.0) or names[-1:]
        raise UserError(f"run={which}: no finished run has this in its name; the nearest is {near[0]}")
    raise UserError(f"run={which}: {len(matches)} runs have this in their names, e.g. "
                    f"{', '.join(m.name for m in matches[:3])}; give a longer part")  # fmt: skip


def write_json(path: Path, value: Any) -> None:
    """Whole or not at all, readable, in the order given."""
    temporary = path.with_name(f".{path.name}.partial")
    temporary.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def read_json(path: Path) -> Any:
    """A JSON file of a run; UserError if it is not there or broken."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from error


def environment(hardware: dict[str, Any], seed: int, command: list[str]) -> dict[str, Any]:
    """Versions, git commit, seed, hardware and the words of the command, for environment.json."""
    versions = {name: _version(name) for name in PACKAGES}
    return {
        "gpt2lab": _version("gpt2lab"), "python": platform.python_version(), "platform": platform.platform(),
        "packages": versions, "git": git_state(), "seed": seed, "hardware": hardware, "command": command,
    }  # fmt: skip


def git_state() -> dict[str, Any]:
    """Commit of the checkout the package lies in and whether it has changes; nulls outside a checkout."""
    here = Path(__file__).resolve().parent

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, timeout=10)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    if git("ls-files", "--error-unmatch", "errors.py") is None:  # the checkout around us is someone else's
        return {"commit": None, "dirty": None}
    return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
