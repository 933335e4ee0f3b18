"""`python -m gpt2lab [verb] key=value ...`; without a verb, train."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import NoReturn

from gpt2lab.errors import UserError
from gpt2lab.schema import nearest

VERBS = ("predict", "prepare")
GRID = ("--multirun", "-m")
QUERIES = ("--cfg", "-c", "--info", "-i", "--shell-completion", "-sc", "--hydra-help")  # Hydra answers these
CONF_FLAGS = ("--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd")
SHELLS = ("bash", "fish", "zsh")
FLAGS = (*GRID, *QUERIES, "--resolve", "--package", "-p", "--help", "-h", "--version")


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns its exit code: 0 done, 1 a bug or a failed cell, 2 a user's mistake, 130 stopped."""
    argv = sys.argv[1:] if argv is None else argv
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that files and trackers are closed
    try:
        return _command(argv)
    except UserError as error:
        line, code = str(error), 2
        _traceback(argv)
    except KeyboardInterrupt:
        line, code = "stopped; the same command goes on from the newest checkpoint", 130
    except Exception as error:  # ours to mend; told in one line, too
        line, code = f"{type(error).__name__}: {error}; this is a bug, see debug=true", 1
        _traceback(argv)
    print(f"gpt2lab: {' '.join(line.split())}", file=sys.stderr)
    return code


def _traceback(argv: list[str]) -> None:
    if any(word.lstrip("+").lower() == "debug=true" for word in argv):
        traceback.print_exc()


def _command(argv: list[str]) -> int:
    flags = [word.split("=")[0] for word in argv if word.startswith("-")]
    if {"--help", "-h"} & set(flags):
        from gpt2lab.helptext import help_text

        print(help_text())
        return 0
    if "--version" in flags:
        from gpt2lab import __version__

        print(f"gpt2lab {__version__}")
        return 0
    if argv and argv[0][:1] not in "-+~" and "=" not in argv[0]:
        return _verb(argv[0], argv[1:])
    for flag in flags:
        if flag in CONF_FLAGS:
            raise UserError(f"{flag}: only conf/ is read; a recipe goes into conf/experiment/<name>.yaml and is "
                            f"chosen by +experiment=<name>")  # fmt: skip
        if flag not in FLAGS:
            raise UserError(f"{flag}: no such flag; {nearest(flag, FLAGS)}see python -m gpt2lab --help")
    if set(QUERIES) & set(flags):
        return _hydra_query(argv)
    for flag in set(flags) - set(GRID):
        raise UserError(f"{flag}: goes with --cfg job")
    words = [word for word in argv if word not in GRID]
    if flags:
        from gpt2lab import sweep

        return sweep.run(sweep.cells(words))
    from gpt2lab import config

    composed = config.load(words)  # before the libraries of a run are imported: a typing error is told at once
    from gpt2lab import pipeline

    pipeline.run(composed)
    return 0


def _hydra_query(argv: list[str]) -> int:
    """Hand `--cfg`, `--info`, `--shell-completion` and the like to Hydra; no job is run and no torch imported."""
    import hydra
    from hydra._internal.utils import get_args_parser

    from gpt2lab import config
    from gpt2lab.helptext import conf_dir

    parser = get_args_parser()
    parser.error = _refuse  # type: ignore[method-assign]
    known = parser.parse_args(argv)
    if known.multirun:
        raise UserError("--multirun: does not go with --cfg, --info or -sc")
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # raise, do not print and exit
    sys.argv = ["gpt2lab", *argv]
    show = hydra.main(version_base=None, config_path=str(conf_dir()), config_name="config")(lambda _: None)
    if known.shell_completion:
        return _completion(known.overrides, show)
    config.check_overrides(known.overrides)
    try:
        with config.one_line_errors():
            show()
    except SystemExit as done:  # e.g. a package that is not there: Hydra has said so
        return 2 if done.code else 0
    return 0


def _completion(words: list[str], show: Callable[[], None]) -> int:
    """`-sc install=bash` prints the script that a shell evaluates; the script asks by `-sc query=bash`."""
    verb, _, shell = "".join(words).partition("=")
    if len(words) != 1 or verb not in ("install", "uninstall", "query") or shell not in SHELLS:
        raise UserError(f"-sc {' '.join(words)}: valid: install=SHELL, uninstall=SHELL; SHELL: {', '.join(SHELLS)}")
    if verb == "query" and "COMP_LINE" not in os.environ:
        raise UserError(f"-sc {words[0]}: is what the script of -sc install={shell} asks, with COMP_LINE set")
    try:
        show()
    except Exception:
        if verb != "query":
            raise
        return 2  # a line that is no config yet has no completions, and a prompt is no place for messages
    return 0


def _refuse(message: str) -> NoReturn:
    raise UserError(message)


def _verb(verb: str, arguments: list[str]) -> int:
    if verb not in VERBS:
        raise UserError(f"{verb}: no such verb; {nearest(verb, VERBS)}valid: {', '.join(VERBS)}, or key=value (without "
                        f"spaces around =) to train")  # fmt: skip
    if verb == "predict":
        from gpt2lab.predict import main as predict

        return predict(arguments)
    from gpt2lab.prepare import main as prepare

    return prepare(arguments)


if __name__ == "__main__":
    sys.exit(main())
