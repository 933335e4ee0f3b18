"""The project around the package: lock, wheel, make targets, import walls, and what no file may name."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
TARGETS = ["help", "install", "lock", "lint", "type", "test", "test-slow"]
TARGETS += ["train", "ui", "bench", "mini", "clean"]

# A library, and the modules that may import it: themselves or anything below them.
WALLS = {
    "hydra": ["gpt2lab.__main__", "gpt2lab.config", "gpt2lab.sweep"],
    "omegaconf": ["gpt2lab.__main__", "gpt2lab.config", "gpt2lab.sweep"],
    "mlflow": ["gpt2lab.tracking", "gpt2lab.tracking_mlflow", "gpt2lab.report"],
    "bitsandbytes": ["gpt2lab.quantization"],
    "torchao": ["gpt2lab.quantization"],
    "matplotlib": ["gpt2lab.report"],
}
LEAVES = ["data.sources", "data.hub", "data.synthetic", "model.linear"]
# Imports go downwards or stay on their line. The longest name that fits a module places it.
LAYERS = [
    ["__main__"],
    ["config", "sweep", "pipeline", "fit", "predict", "export", "prepare", "bench"],
    ["train", "evaluate", "decode", "plan", "tracking", "tracking_mlflow", "tracking_uri", "report"],
    ["data", "model"],
    ["task", "adapter", "precision", "quantization"],
    # tools that know none of the above: the package's own, and the leaves of data and model
    ["errors", "schema", "registry", "helptext", "hardware", "progress", "quiet", "runs", *LEAVES],
]


def normalized(name: str) -> str:
    """A distribution's name as the lock writes it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def locked() -> dict[str, str]:
    """Version by name; a line that is no pin (and no comment) fails the test that asks."""
    pins = [re.fullmatch(r"([a-z0-9-]+)==([^\s;]+)( ; .+)?", line) for line in LOCK if not line.startswith("#")]
    assert pins and all(pins)
    return {pin[1]: pin[2] for pin in pins if pin}


def below(module: str, names: list[str]) -> list[str]:
    """Those of `names` that are `module` or one of its parents."""
    return [name for name in names if f"{module}.".startswith(f"{name}.")]


@cache
def imports() -> list[tuple[str, str]]:
    """(importer, imported) for every import in gpt2lab/, inside functions too; a module by its full name."""
    files = sorted((ROOT / "gpt2lab").rglob("*.py"))
    names = [".".join(f.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for f in files]
    found = []
    for file, module in zip(files, names, strict=True):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found += [(module, alias.name) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0 and node.module, f"{module}: a relative import"
                deeper = [f"{node.module}.{alias.name}" for alias in node.names]
                found += [(module, name if name in names else node.module) for name in deeper]
    assert len(names) > 10 and len(found) > 10
    return found


def layer(module: str) -> int:
    """The line of LAYERS that a gpt2lab module stands on."""
    name = module.removeprefix("gpt2lab").removeprefix(".")
    places = [(len(fit), line) for line, row in enumerate(LAYERS) for fit in below(name, row)]
    assert places, f"{module} has no place in LAYERS: add it"
    return max(places)[1]


def listed() -> list[Path]:
    """The files git tracks or would track."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    out = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files = [ROOT / name for name in out.split("\0") if name and (ROOT / name).is_file()]
    assert files
    return files


def test_lock_pins_torch_and_nothing_of_cuda() -> None:
    pins = locked()
    assert pins["torch"] == "2.13.0"
    assert not [name for name in pins if re.match(r"nvidia|cuda|triton|pytorch-triton", name)]
    assert not [line for line in LOCK if re.search(r"://|@|--|\+", line)], "a URL, an option or a local tag"


def test_lock_has_every_dependency_within_its_range() -> None:
    from packaging.requirements import Requirement

    project = PYPROJECT["project"]
    wanted = [Requirement(r) for r in project["dependencies"] + project["optional-dependencies"]["dev"]]
    pins = locked()
    wrong = [str(r) for r in wanted if not r.specifier.contains(pins.get(normalized(r.name), "0"))]
    assert len(wanted) > 20 and wrong == []


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel, built offline by the backend of the dev extra."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    code = "import sys, hatchling.build as backend; backend.build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, str(folder)], cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_wheel_holds_package_conf_and_bundled_base(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {f.relative_to(ROOT).as_posix() for f in (ROOT / "gpt2lab").rglob("*.py")}
    recipes = {f"gpt2lab/{f.relative_to(ROOT).as_posix()}" for f in (ROOT / "conf").rglob("*.yaml")}
    base = {f.relative_to(ROOT).as_posix() for f in (ROOT / "gpt2lab/model/mini").glob("*.*")}
    assert "gpt2lab/errors.py" in modules and "gpt2lab/conf/config.yaml" in recipes
    assert {".json", ".safetensors", ".md"} <= {Path(name).suffix for name in base}
    assert sorted((modules | recipes | base) - names) == []
    tops = {name.split("/")[0] for name in names}
    assert tops == {"gpt2lab", next(top for top in tops if top.endswith(".dist-info"))}


def test_wheel_reads_its_own_conf(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = "from gpt2lab.helptext import conf_dir; print(conf_dir())"
    for place, conf in ((tmp_path, tmp_path / "gpt2lab" / "conf"), (ROOT, ROOT / "conf")):
        out = subprocess.run([sys.executable, "-c", code], cwd=place, capture_output=True, text=True, check=True)
        assert Path(out.stdout.strip()) == conf.resolve()
        assert (conf / "config.yaml").is_file()


@pytest.mark.skipif(shutil.which("make") is None, reason="no make here")
def test_make_alone_lists_every_target() -> None:
    out = subprocess.run(["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert re.findall(r"^  make (\S+) +\S", out.stdout, re.MULTILINE) == TARGETS


@pytest.mark.skipif(shutil.which("make") is None, reason="no make here")
def test_make_install_refuses_another_python_in_one_line(tmp_path: Path) -> None:
    old = tmp_path / "python3.9"
    old.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")  # the version check of an old Python exits with 1
    old.chmod(0o755)
    command = ["make", "install", f"PYTHON={old}", f"VENV={tmp_path / 'venv'}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode != 0 and not (tmp_path / "venv").exists()
    assert [line for line in done.stderr.splitlines() if "3.11, 3.12 or 3.13" in line and str(old) in line]


def banned(library: str, module: str, code: str) -> bool:
    """Whether ruff, by the project's settings, reports TID251 for `code` in the file of `module`."""
    file = module.replace(".", "/") + ("/some.py" if (ROOT / module.replace(".", "/")).is_dir() else ".py")
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format=concise"]
    command += ["--select=TID251", f"--stdin-filename={file}", "-"]
    done = subprocess.run(command, cwd=ROOT, input=code, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    return f"TID251 `{library}" in done.stdout


@pytest.mark.parametrize("library", WALLS)
def test_ruff_holds_the_wall(library: str) -> None:
    for code in (
        f"import {library}\n",
        f"from {library}.a import b\n",
        f"def f():\n    import {library}.a\n",
    ):
        for outside in ("gpt2lab.pipeline", "gpt2lab.train", "gpt2lab.task", "experiments"):
            assert banned(library, outside, code)
        assert not any(banned(library, inside, code) for inside in WALLS[library])


def test_ruff_knows_the_same_walls() -> None:
    assert set(PYPROJECT["tool"]["ruff"]["lint"]["flake8-tidy-imports"]["banned-api"]) == set(WALLS)


def test_package_keeps_the_walls() -> None:
    crossed = [
        f"{module} imports {name}"
        for module, name in imports()
        if name.split(".")[0] in WALLS and not below(module, WALLS[name.split(".")[0]])
    ]
    assert crossed == []


def test_imports_go_one_way() -> None:
    inside = [(a, b) for a, b in imports() if b.startswith("gpt2lab.")]
    assert len(inside) > 10
    assert [f"{a} imports {b}" for a, b in inside if layer(a) > layer(b)] == []


def test_a_task_imports_no_adapter_precision_or_quantization() -> None:
    others = ["gpt2lab.adapter", "gpt2lab.precision", "gpt2lab.quantization"]
    tasks = [(a, b) for a, b in imports() if below(a, ["gpt2lab.task"])]
    assert tasks
    assert [f"{a} imports {b}" for a, b in tasks if below(b, others)] == []


def test_layers_are_told_apart() -> None:
    assert layer("gpt2lab.task.squad") > layer("gpt2lab.data.batches") > layer("gpt2lab.train.loop")
    assert layer("gpt2lab.data.synthetic.squad") == layer("gpt2lab.errors") > layer("gpt2lab.adapter.lora")
    with pytest.raises(AssertionError, match="no place in LAYERS"):
        layer("gpt2lab.nowhere")


def test_no_file_names_a_registry_or_a_machine_path() -> None:
    hosts = r"pypi\.|pythonhosted|download\.pytorch|anaconda\.(org|com)|index" + r"-url|find" + r"-links"
    paths = r"(?<![\w.~}<>$/-])/(work|tmp|root|home|opt|Users)/\w"
    forbidden = re.compile(f"{hosts}|{paths}")
    assert forbidden.search("see https://pypi" + ".org/simple") and forbidden.search('open("/' + 'tmp/x")')
    hits = []
    for file in listed():
        if file == Path(__file__).resolve():
            continue
        data = file.read_bytes()
        if b"\0" in data[:8192]:
            continue  # weights and pictures
        for number, line in enumerate(data.decode("utf-8", errors="replace").splitlines(), 1):
            if found := forbidden.search(line):
                hits.append(f"{file.relative_to(ROOT)}:{number}: {found[0]}")
    assert hits == []
