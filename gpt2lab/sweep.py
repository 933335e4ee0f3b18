"""The cells of a grid: all checked first, then run under one MLflow parent; a failed cell does not stop the others."""

from __future__ import annotations

import hashlib
import itertools
import traceback
from dataclasses import replace

from hydra.core.override_parser.types import Glob, Override
from hydra.errors import HydraException

from gpt2lab import pipeline, runs, tracking
from gpt2lab.config import Composed, digest, load, parse
from gpt2lab.errors import UserError
from gpt2lab.hardware import setup
from gpt2lab.helptext import group_choices
from gpt2lab.progress import say

MOST_CELLS = 10_000


def cells(overrides: list[str]) -> list[Composed]:
    """The cells of a grid, every one composed and checked; cells that differ only in what has no effect collapse.

    Raises:
        UserError: as `config.load`; also a swept key that changes no cell, a knob that no cell uses, too many cells.
    """
    parsed = parse(overrides)
    axes = [_words(override) for override in parsed]
    grid = list(itertools.islice(itertools.product(*axes), MOST_CELLS + 1))
    if len(grid) > MOST_CELLS:
        raise UserError(f"--multirun: more than {MOST_CELLS:,} cells; sweep fewer values")
    composed = [load(list(words), grid=True) for words in grid]
    for key in sorted(set.intersection(*(set(c.unused) for c in composed))):
        raise UserError(f"{key}: no cell of this grid uses it; leave it out")
    digests = [digest(c.config) for c in composed]
    for place, override in enumerate(parsed):
        lines: dict[tuple[str, ...], set[str]] = {}  # cells that differ in this key alone
        for words, mark in zip(grid, digests, strict=True):
            lines.setdefault((*words[:place], *words[place + 1 :]), set()).add(mark)
        if len(set(axes[place])) > 1 and all(len(marks) == 1 for marks in lines.values()):
            raise UserError(f"{override.input_line}: no result depends on {override.key_or_group}; give one value")
    return [c for n, c in enumerate(composed) if digests[n] not in digests[:n]]


def _words(override: Override) -> list[str]:
    """One override for each value of a sweep: `rank=4,8`, `rank=range(4,8)`, `task=glob(*)`."""
    if not override.is_sweep_override():
        return [str(override.input_line)]
    key, values = override.get_key_element(), override.value()
    try:
        if isinstance(values, Glob):
            found = [c for c in group_choices().get(override.key_or_group, []) if values.filter([c])]
        else:
            found = list(itertools.islice(override.sweep_string_iterator(), MOST_CELLS + 1))
    except (HydraException, ValueError):
        found = []  # an interval, or a range that has no end
    if not found:
        raise UserError(f"{override.input_line}: no values to list; write {key}=a,b or {key}=range(start,stop,step)")
    return [f"{key}={value}" for value in found]


def run(cells: list[Composed]) -> int:
    """Check every cell, then run them; 0 if all finished, 1 if any failed."""
    session = pipeline.Session()
    for cell in cells:
        check(cell, session)
    outputs = runs.outputs_folder(cells[0].config.outputs)
    varied = sorted({k for c in cells for k in c.varied if len({x.varied.get(k) for x in cells}) > 1})
    sweep = hashlib.sha256("".join(digest(c.config) for c in cells).encode()).hexdigest()[:8]
    name = runs.slug(f"sweep-{cells[0].config.task.kind}-{'-'.join(varied)}-{sweep}")
    say(f"{len(cells)} cells over {', '.join(varied) or 'nothing'}")
    if cells[0].config.dry_run:
        for cell in cells:
            say(_label(cell, varied))
            pipeline.run(cell, session)
        return 0
    info = tracking.RunInfo(name, {"cells": len(cells), "varied": ",".join(varied)}, {"sweep": sweep})
    failed: list[tuple[str, str]] = []
    tracking.ensure_store(cells[0].config.tracking, outputs)
    with tracking.open_tracker(cells[0].config.tracking, outputs, info, warn=say) as parent:
        session.parent_id, session.tags = parent.run_id, {"sweep": sweep}
        for number, cell in enumerate(cells, start=1):
            label = _label(cell, varied)
            say(f"\ncell {number} of {len(cells)}: {label}")
            if cell.folder is not None:
                cell = replace(cell, folder=cell.folder / f"{runs.slug(label)}-{digest(cell.config)}")
            try:
                metrics = pipeline.run(cell, session)
                parent.log({k: v for k, v in metrics.items() if k.startswith("eval/")}, number)
            except Exception as failure:  # the other cells are worth running; each failure is reported at the end
                bug = "" if isinstance(failure, UserError) else f"{type(failure).__name__}, a bug, see debug=true: "
                failed.append((label, bug + " ".join(str(failure).split())))
                if cell.config.debug:
                    traceback.print_exc()
    say(f"\n{len(cells) - len(failed)} of {len(cells)} cells finished")
    for label, reason in failed:
        say(f"failed: {label}: {reason}")
    return 1 if failed else 0


def check(cell: Composed, session: pipeline.Session) -> None:
    """What can be known before anything starts: device and base are there, the adapter fits. Reads no weights or data.

    Raises:
        UserError: naming what does not fit.
    """
    config = cell.config
    setup(config.hardware, config.deterministic)
    base = pipeline.find_base(config, session)
    pipeline.announce(session, base.note)
    pipeline.check(config, base)


def _label(cell: Composed, varied: list[str]) -> str:
    return " ".join(f"{k}={cell.varied[k]}" for k in varied if k in cell.varied) or "defaults"
