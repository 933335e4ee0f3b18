"""Kinds are found by their modules, once, and told apart by name."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpt2lab import config
from gpt2lab.errors import UserError
from gpt2lab.registry import Registry

MODULE = """
from colours import register

@register("{kind}", dict, warm={warm})
def build(value):
    return ("{kind}", value)
"""


@pytest.fixture
def colours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """A package of two modules, each with a kind."""
    package = tmp_path / "colours"
    package.mkdir()
    code = "from gpt2lab.registry import Registry\nkinds = Registry('colours')\nregister = kinds.register\n"
    (package / "__init__.py").write_text(code)
    (package / "one.py").write_text(MODULE.format(kind="red", warm=True))
    (package / "two.py").write_text(MODULE.format(kind="blue", warm=False))
    monkeypatch.syspath_prepend(tmp_path)
    import colours

    yield colours.kinds
    for name in [n for n in sys.modules if n.split(".")[0] == "colours"]:
        del sys.modules[name]


def test_every_module_of_the_package_is_found_once(colours: Registry) -> None:
    assert sorted(colours.entries()) == ["blue", "red"]
    assert colours.entries() is colours.entries()
    red = colours.get("red")
    assert red.build(3) == ("red", 3) and red.config is dict and red.flags == {"warm": True}


def test_an_unknown_kind_names_the_nearest(colours: Registry) -> None:
    with pytest.raises(UserError) as caught:
        colours.get("rde")
    assert str(caught.value) == "colours.kind=rde: no such kind; did you mean red? valid: blue, red"


def test_two_kinds_of_one_name_are_a_mistake_of_ours(colours: Registry) -> None:
    colours.entries()
    with pytest.raises(ValueError, match="two kinds named 'red'"):
        colours.register("red", dict)(lambda: None)


def test_every_kind_has_a_choice_and_every_choice_a_kind() -> None:
    import yaml

    for group, registry in config.KINDS.items():
        files = list((config.conf_dir() / group).glob("*.yaml"))
        kinds = {yaml.safe_load(f.read_text(encoding="utf-8"))["kind"] for f in files}
        assert files and kinds == set(registry.entries())
