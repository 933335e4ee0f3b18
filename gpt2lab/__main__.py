"""`python -m gpt2lab [verb] key=value ...`; without a verb, train."""

from __future__ import annotations

import sys

VERBS = ("predict", "prepare")
QUERIES = ("--cfg", "-c", "--info", "-i", "--shell-completion", "-sc", "--resolve", "--package", "-p", "--version",
           "--hydra-help")  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns its exit code (2 for a user's mistake)."""
    argv = sys.argv[1:] if argv is None else argv
    if not argv or not {"--help", "-h"} & set(argv):
        return _guarded(argv)
    from gpt2lab.helptext import help_text

    print(help_text())
    return 0


def _guarded(argv: list[str]) -> int:
    """One line for a user's mistake; the traceback with debug=true."""
    from gpt2lab.errors import UserError

    try:
        return _command(argv)
    except UserError as error:
        if "debug=true" in argv:
            raise
        print(f"gpt2lab: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("gpt2lab: stopped; the same command goes on from the newest checkpoint", file=sys.stderr)
        return 130


def _command(argv: list[str]) -> int:
    if any(a.split("=")[0] in QUERIES for a in argv):
        return _hydra_query(argv)
    if argv and "=" not in argv[0] and not argv[0].startswith(("-", "+", "~")):
        return _verb(argv[0], argv[1:])
    overrides = [a for a in argv if a not in ("--multirun", "-m")]
    flags = [a for a in overrides if a.startswith("-")]
    if flags:
        from gpt2lab.errors import UserError

        raise UserError(f"{flags[0]}: unknown flag; see python -m gpt2lab --help")
    from gpt2lab import config

    if len(overrides) < len(argv):
        from gpt2lab import sweep

        return sweep.run(config.cells(overrides))
    from gpt2lab import pipeline

    pipeline.run(config.load(overrides))
    return 0


def _hydra_query(argv: list[str]) -> int:
    """Hand `--cfg`, `--info`, `--shell-completion` and the like to Hydra; no job is run and no torch imported."""
    import hydra

    from gpt2lab.helptext import conf_dir

    sys.argv = ["gpt2lab", *argv]
    hydra.main(version_base=None, config_path=str(conf_dir()), config_name="config")(lambda _: None)()
    return 0


def _verb(verb: str, arguments: list[str]) -> int:
    from gpt2lab.errors import UserError
    from gpt2lab.schema import nearest

    if verb not in VERBS:
        hint = nearest(verb, VERBS)
        raise UserError(f"{verb}: no such verb; {hint}valid: {', '.join(VERBS)}, or key=value to train")
    if verb == "predict":
        from gpt2lab.predict import main as predict

        return predict(arguments)
    from gpt2lab.prepare import main as prepare

    return prepare(arguments)


if __name__ == "__main__":
    sys.exit(main())
