"""What every yaml composes to, which words are refused, and what a run's identity depends on."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gpt2lab import config, helptext
from gpt2lab.config import Composed, Knobs, RunConfig, digest, from_plain, load, plain
from gpt2lab.errors import UserError

CONF = Path(__file__).parent.parent / "conf"
CHOICES = sorted((p.parent.name, p.stem) for p in CONF.glob("*/*.yaml") if p.parent.name != "experiment")
RECIPES = sorted(p.stem for p in CONF.glob("experiment/*.yaml"))


def refusal(overrides: list[str]) -> str:
    with pytest.raises(UserError) as caught:
        load(overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_there_are_choices_and_recipes() -> None:
    groups = {group for group, _ in CHOICES}
    assert groups == {"task", "model", "adapter", "precision", "quantization", "hardware", "tracking"}
    assert len(CHOICES) > 15 and len(RECIPES) > 0
    assert len(CHOICES) + len(RECIPES) + 1 == len(list(CONF.rglob("*.y*ml"))), "a yaml that no test composes"


@pytest.mark.parametrize(("group", "choice"), CHOICES)
def test_every_choice_composes_and_gives_every_field_of_its_dataclass(group: str, choice: str) -> None:
    composed = load([f"{group}={choice}"])
    assert composed.varied == {group: choice} and composed.unused == ()
    written = yaml.safe_load((CONF / group / f"{choice}.yaml").read_text(encoding="utf-8"))
    assert list(written) == [f.name for f in fields(getattr(composed.config, group))]


def test_config_yaml_gives_every_knob_and_every_field_of_its_sections() -> None:
    written = yaml.safe_load((CONF / "config.yaml").read_text(encoding="utf-8"))
    defaults = [k for entry in written.pop("defaults") if isinstance(entry, dict) for k in entry]
    built = load([]).config
    assert {*written, *defaults} == {f.name for f in fields(RunConfig)}
    sections = {k: v for k, v in written.items() if isinstance(v, dict)}
    assert set(sections) == {"train", "validation", "checkpoint"}
    for name, section in sections.items():
        assert list(section) == [f.name for f in fields(getattr(built, name))]


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_composes(recipe: str) -> None:
    composed = load([f"+experiment={recipe}"])
    written = yaml.safe_load((CONF / "experiment" / f"{recipe}.yaml").read_text(encoding="utf-8"))
    resolved = plain(composed.config)
    assert composed.varied == {"experiment": recipe}
    for key, value in written.items():
        if key == "defaults":
            continue
        pairs = value.items() if isinstance(value, dict) else [(key, value)]
        inside = resolved[key] if isinstance(value, dict) else resolved
        assert all(inside[k] == (float(v) if isinstance(inside[k], float) else v) for k, v in pairs)


def test_defaults_and_the_knobs_that_reach_the_groups() -> None:
    built = load([]).config
    assert (built.task.kind, built.adapter.kind, built.model.name, built.quantization.kind) == (
        "squad",
        "lora",
        "auto",
        "none",
    )
    assert (built.adapter.rank, built.adapter.targets, built.train.lr, built.train.warmup) == (
        16,
        "attention+projection",
        2e-4,
        0.06,
    )
    words = ["rank=4", "alpha=32", "dropout=0.1", "targets=[attn.c_attn,mlp.c_fc]", "lr=1e-3", "epochs=0.5",
             "max_steps=7", "batch_size=3", "fallback=error"]  # fmt: skip
    built = load(words).config
    assert (built.adapter.rank, built.adapter.alpha, built.adapter.dropout) == (4, 32.0, 0.1)
    assert (built.adapter.targets, built.model.dropout) == (["attn.c_attn", "mlp.c_fc"], 0.1)
    train = built.train
    assert (train.lr, train.epochs, train.max_steps, train.batch_size) == (1e-3, 0.5, 7, 3)
    assert built.task.fallback.name == built.model.fallback.name == "error"
    assert load([]).config.adapter.rank == 16  # nothing is left of an earlier call


def test_a_users_value_beats_a_recipes() -> None:
    recipe = load([f"+experiment={RECIPES[0]}"]).config
    built = load([f"+experiment={RECIPES[0]}", "batch_size=5", "model=gpt2-medium"]).config
    assert recipe.train.batch_size != 5 and recipe.model.name != "gpt2-medium"
    assert (built.train.batch_size, built.model.name, built.model.n_layer) == (5, "gpt2-medium", 24)


@pytest.mark.parametrize(
    "word", ["hydra.run.dir=runs/here", "hydra.run.dir='runs/here'", "hydra.run.dir=runs/${where}"]
)
def test_hydra_run_dir_is_the_runs_folder(word: str) -> None:
    composed = load([word.replace("${where}", "${tracking.experiment}")])
    assert composed.folder == Path("runs/gpt2lab" if "${" in word else "runs/here")
    assert composed.varied == {} and digest(composed.config) == digest(load([]).config)


def test_varied_is_what_was_typed() -> None:
    words = ["adapter=lora", "rank=8", "lr=3e-4", "targets=[attn.c_attn]", "max_steps=null", "deterministic=true"]
    assert load([*words, "outputs='a b'"]).varied == {
        "adapter": "lora", "rank": "8", "lr": "0.0003", "targets": "[attn.c_attn]", "max_steps": "null",
        "deterministic": "true", "outputs": "a b"}  # fmt: skip


@pytest.mark.parametrize(
    ("words", "unused"),
    [
        (["adapter=head", "rank=32"], "rank"), (["adapter=full", "targets=all"], "targets"),
        (["adapter=none", "lr=1e-3"], "lr"), (["adapter=none", "dropout=0.1"], "dropout"),
        (["train.lr=1", "lr=2"], "lr"),
    ],
)  # fmt: skip
def test_a_knob_that_nothing_uses(words: list[str], unused: str) -> None:
    assert f"{words[1]}: no part of this run uses {unused}" in refusal(words)
    cell = load(words, grid=True)
    assert cell.unused == (unused,) and unused not in cell.varied


def test_knobs_that_are_used_are_not_refused() -> None:
    for words in (["adapter=head", "dropout=0.1"], ["adapter=full", "lr=1e-3"], ["adapter=none", "seed=3"]):
        assert load(words).unused == ()


SAME = ["rank=16", "lr=2e-4", "lr=0.0002", "alpha=16.0", "targets='attention+projection'", "++seed=42", "adapter=lora",
        "hardware=cpu", "hardware.threads=1", "tracking=none", "outputs=elsewhere", "debug=true", "dry_run=true",
        "rerun=true", "fallback=error", "model.fallback=error", "checkpoint.every=7", "hydra.run.dir=x"]  # fmt: skip
OTHER = ["rank=8", "lr=1e-3", "seed=1", "alpha=32", "targets=attention", "dropout=0.1", "epochs=1", "max_steps=9",
         "batch_size=4", "deterministic=true", "task=text", "model=mini", "model.init=random", "adapter=head",
         "adapter=none", "precision=bf16", "train.schedule=cosine", "validation.fraction=0.1",
         "task.max_train_examples=9"]  # fmt: skip


def test_the_digest_does_not_depend_on_spelling_or_on_what_changes_no_result() -> None:
    assert {digest(load([word]).config) for word in SAME} == {digest(load([]).config)}


def test_the_digest_depends_on_what_changes_the_result() -> None:
    marks = [digest(load(words).config) for words in ([], *([word] for word in OTHER))]
    assert len(set(marks)) == len(marks) and all(re.fullmatch("[0-9a-f]{8}", mark) for mark in marks)
    built = load([]).config
    assert (
        len({digest(built), digest(built, "base"), digest(built, "base", "data"), digest(built, "data", "base")}) == 4
    )


def test_a_new_knob_leaves_the_digests_of_old_runs() -> None:
    @dataclass
    class Wider(RunConfig):
        another: int = 3

    built = load([]).config
    assert digest(Wider(**vars(built), another=4)) == digest(built)


def test_nothing_of_training_is_in_the_digest_of_an_adapter_that_does_not_train() -> None:
    base = digest(load(["adapter=none"]).config)
    for words in (["train.warmup=0.2"], ["model.dropout=0.1"], ["precision=bf16"], ["validation.every=3"]):
        assert digest(load(["adapter=none", *words]).config) == base
    for words in (["seed=3"], ["precision.eval=bf16"], ["task.stride=64"]):
        assert digest(load(["adapter=none", *words]).config) != base


def test_a_finished_runs_config_comes_back_without_its_files(tmp_path: Path) -> None:
    file = tmp_path / "train.json"
    file.write_text("{}")
    built = load([f"task.train_file='{file}'", "targets=[attn.c_attn]", "adapter=lora", "train.clip=null"]).config
    stored = yaml.safe_load(yaml.safe_dump(plain(built)))
    file.unlink()
    assert from_plain(stored) == built
    with pytest.raises(UserError, match=r"rnk: unknown key; did you mean rank\? "):
        from_plain({**stored, "rnk": 3})
    with pytest.raises(UserError, match=r"train\.lr: no value given"):
        from_plain({**stored, "train": {k: v for k, v in stored["train"].items() if k != "lr"}})
    with pytest.raises(UserError, match=r"train=3: must be a section"):
        from_plain({**stored, "train": 3})


def test_dataclasses_hold_dataclasses_and_no_text_of_another_type() -> None:
    built = load(["lr=1", "alpha=2"]).config
    sections = [f.name for f in fields(RunConfig) if f.name not in {k.name for k in fields(Knobs)}]
    assert len(sections) == 10 and all(is_dataclass(getattr(built, name)) for name in sections)
    assert isinstance(built.lr, float) and isinstance(built.train.lr, float) and isinstance(built.alpha, float)


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], str]:
    """Writes the recipe `mine` into a copy of conf/ and returns how it is refused."""
    shutil.copytree(CONF, tmp_path / "conf")
    monkeypatch.setattr(helptext, "conf_dir", lambda: tmp_path / "conf")
    monkeypatch.setattr(config, "conf_dir", lambda: tmp_path / "conf")

    def write(text: bytes) -> str:
        (tmp_path / "conf" / "experiment" / "mine.yaml").write_bytes(b"# @package _global_\n" + text)
        return refusal(["+experiment=mine"])

    return write


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"rank: [4\n", ["+experiment=mine: ", "mine.yaml"]),
        (b"rank: '\xe9'\n", ["+experiment=mine: ", "decode"]),
        (b"rnak: 3\n", ["rnak: unknown key; did you mean rank?"]),
        (b"adapter:\n  rnak: 3\n", ["adapter.rnak: unknown key; did you mean rank?"]),
        (b"rank: many\n", ["rank=many: must be a whole number >= 1"]),
        (b"train: 3\n", ["train=3: must be a section"]),
        (b"rank: ${nope}\n", ["nope"]),
        (b"defaults:\n  - override /task: sqad\n", ["+experiment=mine: ", "sqad"]),
    ],
)
def test_a_broken_recipe_is_told_in_one_line(recipe: Callable[[bytes], str], text: bytes, words: list[str]) -> None:
    line = recipe(text)
    assert all(word in line for word in words), line


def test_a_recipe_that_cannot_be_opened(recipe: Callable[[bytes], str]) -> None:
    (config.conf_dir() / "experiment" / "folder.yaml").mkdir()
    (config.conf_dir() / "experiment" / "sound.yaml").write_text("# @package _global_\nrank: 3\n")
    assert load(["+experiment=sound"]).config.adapter.rank == 3
    assert refusal(["+experiment=folder"]).startswith("+experiment=folder: ")


WORDS = st.one_of(
    st.text(),
    st.builds(
        lambda key, equals, value: f"{key}{equals}{value}",
        st.sampled_from(
            ["rank", "lr", "targets", "task", "outputs", "++seed", "~train.lr", "model.path", "hydra.run.dir"]
        ),
        st.sampled_from(["=", "=", "=", "='", "=[", "=${", ""]),
        st.text(),
    ),
    st.builds(lambda key, value: f"{key}={value}", st.text(), st.sampled_from(["3", "null", "a", "[1,2]", "{a:1}"])),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(WORDS, max_size=2))
def test_no_word_does_more_than_compose_or_be_refused(words: list[str]) -> None:
    try:
        composed = load(words)
    except UserError as error:
        assert str(error).strip()
    else:
        assert isinstance(composed, Composed) and digest(composed.config)
