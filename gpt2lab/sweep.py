"""The cells of a grid, one after another under one MLflow parent; a failed cell does not stop the others."""

from __future__ import annotations

import hashlib
import traceback
from pathlib import Path
from typing import Any

import torch

from gpt2lab import adapter, pipeline, runs, task, tracking
from gpt2lab.adapter.base import target_modules
from gpt2lab.config import Composed, digest
from gpt2lab.errors import UserError
from gpt2lab.model import base as models
from gpt2lab.progress import say


def run(cells: list[Composed]) -> int:
    """Check every cell, then run them; 0 if all finished, 1 if any failed."""
    session = pipeline.Session()
    for cell in cells:
        check(cell, session)
    outputs = Path(cells[0].config.outputs).expanduser().resolve()
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
    with tracking.open_tracker(cells[0].config.tracking, outputs, info, warn=say) as parent:
        session.parent_id, session.tags = parent.run_id, {"sweep": sweep}
        for number, cell in enumerate(cells, start=1):
            label = _label(cell, varied)
            say(f"\ncell {number} of {len(cells)}: {label}")
            if cell.folder is not None:
                cell = Composed(cell.config, cell.varied, cell.folder / runs.slug(label), cell.unused)
            try:
                metrics = pipeline.run(cell, session)
                parent.log({k: v for k, v in metrics.items() if k.startswith("eval/")}, number)
            except Exception as failure:  # the other cells are worth running; each failure is reported at the end
                failed.append((label, str(failure).splitlines()[0] if str(failure) else type(failure).__name__))
                if cell.config.debug or not isinstance(failure, UserError):
                    traceback.print_exc()
    say(f"\n{len(cells) - len(failed)} of {len(cells)} cells finished")
    for label, reason in failed:
        say(f"failed: {label}: {reason}")
    return 1 if failed else 0


def check(cell: Composed, session: pipeline.Session) -> None:
    """What can be known before anything starts: base there, targets match; UserError otherwise. No weights are read."""
    config = cell.config
    base = pipeline.find_base(config, session)
    if adapter.kinds.get(config.adapter.kind).flags.get("targets"):
        built = task.kinds.get(config.task.kind).build(config.task)
        target_modules(_skeleton(base, config, built.objective), config.adapter.targets)


def _skeleton(base: models.Base, config: Any, objective: str) -> torch.nn.Module:
    return models.skeleton(base, config.model, objective)


def _label(cell: Composed, varied: list[str]) -> str:
    return " ".join(f"{k}={cell.varied[k]}" for k in varied if k in cell.varied) or "defaults"
