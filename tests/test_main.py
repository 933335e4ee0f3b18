"""The command line: what a wrong word is told, what is started (nothing), and what imports what."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from gpt2lab import __main__, config, pipeline
from gpt2lab.__main__ import main

ROOT = Path(__file__).parent.parent
MINI = ["model=mini", "model.init=random"]
KNOBS = "rank, lr, targets"

# (words, parts of the one line that answers them)
REFUSED: list[tuple[list[str], list[str]]] = [
    (["rank=abc"], ["rank=abc: must be a whole number >= 1"]),
    (["rank=0"], ["rank=0: must be a whole number >= 1"]),
    (["rank=1.5"], ["rank=1.5: must be a whole number >= 1"]),
    (["rank=true"], ["rank=true: must be a whole number"]),
    (["rank=null"], ["rank=null: must be a whole number"]),
    (["rank=[4]"], ["rank=[4]: must be a whole number"]),
    (["rank=???"], ["rank=???: no value given"]),
    (["rank=99999999999999999999999"], ["rank=99999999999999999999999: must be a whole number"]),
    (["lr=-1"], ["lr=-1.0: must be a number > 0"]),
    (["lr=nan"], ["lr=nan: must be a number > 0"]),
    (["lr=inf"], ["lr=inf: must be a number > 0"]),
    (["lr="], ["lr=: must be a number > 0"]),
    (["dropout=1.5"], ["dropout=1.5: must be a number >= 0 and < 1"]),
    (["seed=-1"], ["seed=-1: must be a whole number >= 0 and < 4294967296"]),
    (["batch_size=0"], ["batch_size=0: must be a whole number >= 1"]),
    (["max_steps=0"], ["max_steps=0: must be a whole number >= 1 or null"]),
    (["epochs=0"], ["epochs=0.0: must be a number > 0"]),
    (["fallback=maybe"], ["fallback=maybe: must be one of allow, error"]),
    (["train.schedule=cosin"], ["train.schedule=cosin: must be one of linear, cosine, constant"]),
    (["debug=maybe"], ["debug=maybe: must be true or false"]),
    (["outputs="], ["outputs=: must be a text"]),
    (["task.train_file="], ["task.train_file=: must be a text or null"]),
    (["task.train_file=nowhere.json"], ["task.train_file=nowhere.json: no such file or folder", "relative to {cwd}"]),
    (["model.path=nowhere"], ["model.path=nowhere: no such file or folder"]),
    (["hardware.threads=0"], ["hardware.threads=0: must be a whole number >= 1 or null"]),
    (["task=sqad"], ["task=sqad: no such task; did you mean squad? valid: squad, text"]),
    (["precision=fp7"], ["precision=fp7: no such precision; did you mean fp32? valid: auto, bf16, fp32"]),
    (["model=gpt3"], ["model=gpt3: no such model; did you mean gpt2? valid: auto, gpt2,"]),
    (["adapter={kind:lora}"], ["adapter={kind:lora}: no such adapter; valid: full, head, lora, none"]),
    (["adapter=[lora]"], ["adapter=[lora]: no such adapter; did you mean lora? "]),
    (["adapter="], ["adapter=: no such adapter; valid: "]),
    (["adapter.kind=head"], ["adapter.kind=head: write adapter=...; valid: full, head, lora, none"]),
    (["adapter@x=lora"], ["adapter@x=lora: write adapter=..."]),
    (["+adapter=lora"], ["+adapter=lora: write adapter=..."]),
    (["~adapter"], ["~adapter: write adapter=..."]),
    (["+experiment=nothing"], ["+experiment=nothing: no such experiment; valid: ", "squad_mini"]),
    (["experiment=squad_mini"], ["experiment=squad_mini: write +experiment=..."]),
    (["ranks=4"], ["ranks=4: unknown key ranks; did you mean rank? valid: ", KNOBS]),
    (["warmup=0.1"], ["warmup=0.1: unknown key warmup; did you mean train.warmup? "]),
    (["adapter.typo=1"], ["adapter.typo=1: unknown key adapter.typo; valid: ", "adapter.rank", "adapter.targets"]),
    (["+adapter.typo=1"], ["+adapter.typo=1: unknown key adapter.typo; valid: ", "adapter.rank"]),
    (["adapter.rnk=1"], ["unknown key adapter.rnk; did you mean adapter.rank? "]),
    (["++train.foo=1"], ["++train.foo=1: unknown key train.foo; valid: ", "train.lr", "train.warmup"]),
    (["+rank=4"], ["+rank=4: rank is there already; leave out the +"]),
    (["~train.lr"], ["~train.lr: a key cannot be removed"]),
    (["train=null"], ["train=null: train is a section; set one of its keys, e.g. train.lr="]),
    (["train={lr:1}"], ["train={lr:1}: train is a section"]),
    (["adapter=head", "rank=32"], ["rank=32: no part of this run uses rank (adapter=head)"]),
    (["train.lr=1", "lr=2"], ["lr=2: no part of this run uses lr", "train.lr takes its place"]),
    (["rank=4", "rank=8"], ["rank: given twice (rank=4, rank=8)"]),
    (["adapter=lora", "adapter=head"], ["adapter: given twice (adapter=lora, adapter=head)"]),
    (["rank=4,8"], ["rank=4,8: several values need --multirun", "rank=[a,b]"]),
    (["task=squad,text"], ["task=squad,text: several values need --multirun"]),
    (["=3"], ["=3: not of the form key=value"]),
    ([""], ["not of the form key=value"]),
    (["rank=4", "predict"], ["predict: not of the form key=value", "a verb comes first"]),
    (["rank='4"], ["rank='4: cannot be read; close quotes and brackets"]),
    (['rank="4'], ["cannot be read; close quotes"]),
    (["rank=[4"], ["rank=[4: cannot be read; close quotes and brackets"]),
    (["rank={4"], ["rank={4: cannot be read; close quotes and brackets"]),
    (["outputs=Zürich"], ["outputs=Zürich: cannot be read", "quotes of its own: 'outputs=\"...\"'"]),
    (["rank=${nope}"], ["rank=${nope}: ", "'nope' not found"]),
    (["rank=${rank}"], ["rank=${rank}: ", "ecursive"]),
    (["hydra.run.dir="], ["hydra.run.dir=: no value given"]),
    (["hydra.job.chdir=true"], ["hydra.job.chdir=true: of Hydra's own settings only hydra.run.dir is read"]),
    (["hydra/launcher=joblib"], ["hydra/launcher=joblib: of Hydra's own settings only hydra.run.dir is read"]),
    (["trian"], ["trian: no such verb; valid: predict, prepare, or key=value"]),
    (["pedict", "run=last"], ["pedict: no such verb; did you mean predict? "]),
    (["rank", "=4"], ["rank: no such verb", "without spaces around ="]),
    (["--foo"], ["--foo: no such flag; "]),
    (["--multrun", "rank=4,8"], ["--multrun: no such flag; did you mean --multirun? "]),
    (["--config-dir", "x"], ["--config-dir: only conf/ is read", "+experiment=<name>"]),
    (["--config-name=x"], ["--config-name: only conf/ is read"]),
    (["-cp", "x"], ["-cp: only conf/ is read"]),
    (["--resolve"], ["--resolve: goes with --cfg job"]),
    (["--cfg"], ["--cfg/-c: expected one argument"]),
    (["--cfg", "jbo"], ["--cfg/-c: invalid choice: 'jbo'", "job"]),
    (["--cfg", "job", "ranks=4"], ["ranks=4: unknown key ranks; did you mean rank? "]),
    (["--cfg", "job", "-m", "rank=4,8"], ["--multirun: does not go with --cfg"]),
    (["-sc", "install=tcsh"], ["-sc install=tcsh: valid: install=SHELL", "bash, fish, zsh"]),
    ([*MINI, "targets=nope"], ["targets=nope: matches no projection; valid: attention, ", "attn.c_attn"]),
    ([*MINI, "targets=[attn.c_attn,nope]"], ["targets=nope: matches no projection; "]),
    ([*MINI, "targets=attn.c_atn"], ["did you mean attn.c_attn? "]),
    (["targets=[]"], ["targets=[]: must be a name or a list of names"]),
    (["targets=null"], ["targets=null: must be a name or a list of names"]),
    (["targets=3"], ["targets=3: must be a name or a list of names"]),
    (["-m", "rank=4,8,hello"], ["rank=hello: must be a whole number >= 1"]),
    (["--multirun", *MINI, "targets=attention,all,nope"], ["targets=nope: matches no projection"]),
    (["--multirun", "adapter=head,full", "rank=4,8"], ["rank: no cell of this grid uses it"]),
]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("words", "parts"), REFUSED, ids=[" ".join(words) for words, _ in REFUSED])
def test_a_mistake_is_told_in_one_line_and_starts_nothing(
    words: list[str], parts: list[str], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(words)
    out, err = capsys.readouterr()
    assert code == 2 and out == ""
    assert err.startswith("gpt2lab: ") and err.count("\n") == 1 and err.endswith("\n")
    missing = [part for part in parts if part.replace("{cwd}", str(here)) not in err]
    assert not missing, f"{missing} not in: {err}"
    assert list(here.iterdir()) == []


def test_debug_shows_the_traceback_before_the_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rank=abc", "debug=true"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("Traceback") and err.splitlines()[-1] == "gpt2lab: rank=abc: must be a whole number >= 1"


def test_a_crash_is_one_line_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def crash(words: list[str]) -> None:
        raise KeyError("two\nlines")

    monkeypatch.setattr(config, "load", crash)
    assert main([]) == 1
    out, err = capsys.readouterr()
    assert out == "" and err == "gpt2lab: KeyError: 'two\\nlines'; this is a bug, see debug=true\n"
    assert main(["++debug=True"]) == 1
    assert capsys.readouterr().err.startswith("Traceback")


def test_an_interrupt_has_its_own_code_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(composed: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "run", interrupt)
    assert main(["debug=true"]) == 130
    assert re.fullmatch("gpt2lab: stopped; .+\n", capsys.readouterr().err)


def test_words_reach_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[config.Composed] = []
    monkeypatch.setattr(pipeline, "run", lambda composed, session=None: started.append(composed) or {})
    assert main(["task=squad", "rank=32", "hydra.run.dir=here"]) == 0
    assert main([]) == 0
    assert main(["-m", *MINI, "tracking=none", "adapter=head,lora", "rank=4,8", "dry_run=true"]) == 0
    assert [(c.config.adapter.kind, c.config.rank) for c in started[:2]] == [("lora", 32), ("lora", 16)]
    assert started[0].folder == Path("here") and started[0].varied == {"task": "squad", "rank": "32"}
    assert [c.varied.get("rank") for c in started[2:]] == [None, "4", "8"]


def test_the_words_after_a_verb_are_the_verbs(monkeypatch: pytest.MonkeyPatch) -> None:
    from gpt2lab import predict, prepare

    given: list[tuple[str, list[str]]] = []
    for module in (predict, prepare):
        monkeypatch.setattr(module, "main", lambda words, verb=module.__name__: given.append((verb, words)) or 0)
    assert main(["predict", "run=last", "question=--help me?"]) == 0
    assert main(["prepare", "tokenizer"]) == 0
    assert given == [("gpt2lab.predict", ["run=last", "question=--help me?"]), ("gpt2lab.prepare", ["tokenizer"])]


def gpt2lab(*words: str, python: tuple[str, ...] = (), **environment: str) -> subprocess.CompletedProcess[str]:
    """`python -m gpt2lab` in a process of its own."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).strip(os.pathsep)
    return subprocess.run([sys.executable, *python, "-m", "gpt2lab", *words], capture_output=True, text=True,
                          env=os.environ | {"PYTHONPATH": path} | environment)  # fmt: skip


def imported(*words: str) -> tuple[str, set[str]]:
    """What a command prints and the top-level packages it imports."""
    done = gpt2lab(*words, python=("-X", "importtime"))
    assert done.returncode == 0
    names = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "gpt2lab" in names and all(line.startswith("import time:") for line in done.stderr.splitlines())
    return done.stdout, names


def test_help_imports_no_library() -> None:
    out, names = imported("--help")
    assert out == (ROOT / "tests" / "help.txt").read_text(encoding="utf-8")
    assert not names & {"torch", "transformers", "mlflow", "hydra", "omegaconf", "numpy", "yaml"}


def test_cfg_imports_hydra_alone_and_shows_the_config() -> None:
    out, names = imported("--cfg", "job", "rank=4", "adapter=lora")
    assert "hydra" in names and not names & {"torch", "transformers", "mlflow", "numpy", "datasets"}
    shown = yaml.safe_load(out)
    assert shown["rank"] == 4 and shown["adapter"]["rank"] == "${rank}" and "train" in shown
    part = yaml.safe_load(gpt2lab("--cfg", "job", "--resolve", "--package", "adapter", "rank=4").stdout)
    assert part == {"kind": "lora", "rank": 4, "alpha": 16, "dropout": 0.0, "targets": "attention+projection"}


def test_other_questions_to_hydra(here: Path) -> None:
    done = gpt2lab("--info", "defaults", "task=text")
    assert done.returncode == 0 and re.search(r"\| task/text +\| task ", done.stdout)
    done = gpt2lab("--cfg", "job", "--package", "nope")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "nope" in done.stderr
    assert re.fullmatch(r"gpt2lab \d+\.\d+\.\d+\n", gpt2lab("--version").stdout)
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "offers"),
    [
        ("gpt2lab task=", "task=squad task=text"), ("gpt2lab rank=4 adapter=lo", "adapter=lora"),
        ("gpt2lab ran", "rank="), (".venv/bin/gpt2lab +experiment=squ", "+experiment=squad_mini"),
        ("gpt2lab predict run=", ""), ("gpt2lab ~~ ra", ""),
    ],
)  # fmt: skip
def test_shell_completion_offers(line: str, offers: str) -> None:
    done = gpt2lab("-sc", "query=bash", COMP_LINE=line, COMP_POINT=str(len(line)))
    assert (done.stdout.strip(), done.stderr) == (offers, "")


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_shell_completion_in_a_bash(tmp_path: Path) -> None:
    command = tmp_path / "gpt2lab"  # what pip makes of [project.scripts]
    command.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m gpt2lab "$@"\n')
    command.chmod(0o755)
    script = """eval "$(gpt2lab -sc install=bash)"; complete -p gpt2lab >&2
        COMP_LINE="gpt2lab adapter=" COMP_POINT=16 COMP_CWORD=1; hydra_bash_completion; echo "${COMPREPLY[@]}" """
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=os.environ | {"PATH": path})
    assert done.stdout.split() == ["adapter=full", "adapter=head", "adapter=lora", "adapter=none"]
    assert "hydra_bash_completion" in done.stderr


def test_every_shell_has_a_script() -> None:
    for shell in __main__.SHELLS:
        done = gpt2lab("-sc", f"install={shell}")
        assert done.returncode == 0 and "gpt2lab" in done.stdout and "hydra" in done.stdout
