"""How a config group finds its kinds: one module a kind, discovered, never listed twice."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gpt2lab.errors import UserError
from gpt2lab.schema import nearest


@dataclass(frozen=True)
class Entry:
    """One kind of a group: its config dataclass, its one function, and what the pipeline must know of it."""

    config: type
    build: Callable[..., Any]
    flags: dict[str, Any]


class Registry:
    """The kinds of one config group, e.g. `lora` of `adapter`; filled by the modules of the group's package."""

    def __init__(self, package: str):
        self.package = package
        self._entries: dict[str, Entry] = {}
        self._discovered = False

    def register(self, kind: str, config: type, **flags: Any) -> Callable[[Callable], Callable]:
        """Decorator: `@register("lora", LoraConfig)` above the function that builds this kind."""

        def decorate(build: Callable) -> Callable:
            if kind in self._entries:
                raise ValueError(f"{self.package} has two kinds named {kind!r}")
            self._entries[kind] = Entry(config, build, flags)
            return build

        return decorate

    def entries(self) -> dict[str, Entry]:
        """All kinds by name; imports the package's modules once."""
        if not self._discovered:
            package = importlib.import_module(self.package)
            for module in pkgutil.iter_modules(package.__path__):
                importlib.import_module(f"{self.package}.{module.name}")
            self._discovered = True
        return self._entries

    def get(self, kind: str) -> Entry:
        """The entry of `kind`; UserError if there is none."""
        entries = self.entries()
        if kind not in entries:
            group = self.package.rsplit(".", 1)[-1]
            raise UserError(f"{group}.kind={kind}: no such kind; {nearest(kind, entries)}"
                            f"valid: {', '.join(sorted(entries))}")  # fmt: skip
        return entries[kind]
