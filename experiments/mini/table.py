"""The bundled base's figures, recomputed from predictions: python experiments/mini/table.py <outputs> [<group> ...]

A group is a part of run names, e.g. `lora-squad_mini`; its runs are the seeds. Differences are against the first.
"""

import json
import sys
from pathlib import Path

import numpy as np
import yaml

from gpt2lab import task
from gpt2lab.config import from_plain
from gpt2lab.report.stats import paired_bootstrap, seeds_interval
from gpt2lab.task.metrics import squad as metric


def scores(folder: Path) -> dict[str, float]:
    """Exact match by question id, from predictions.json and the evaluation part it belongs to."""
    config = from_plain(yaml.safe_load((folder / "config.yaml").read_text()))
    splits = (
        task.kinds.get("squad")
        .build(config.task)
        .load(real_base=False, fraction=config.validation.fraction, max_validation=1)
    )
    examples = splits.evaluation
    predictions = json.loads((folder / "predictions.json").read_text())
    rows = ({"id": i, "answers": a} for i, a in zip(examples["id"], examples["answers"], strict=True))
    found = metric.score(predictions, rows)
    return {i: found[i]["exact_match"] for i in examples["id"]}, list(examples["title"])


def main(outputs: Path, groups: list[str]) -> None:
    """Print a row a group: seeds, n, exact match with its interval, training seconds, difference to the first."""
    reference = None
    print("| runs | seeds | n | EM | 95 % interval | train s (max) | first minus this (paired, 95 %) |")
    print("|---|---|---|---|---|---|---|")
    for group in groups:
        folders = sorted(p.parent for p in outputs.glob("squad/*/metrics.json") if group in p.parent.name)
        assert folders, f"no finished run has {group} in its name"
        read = [scores(f) for f in folders]
        ids, titles = list(read[0][0]), read[0][1]
        table = [np.array([by_id[i] for i in ids]) for by_id, _ in read]
        low, high = seeds_interval(table, titles)
        seconds = max(json.loads((f / "metrics.json").read_text())["train/seconds"] for f in folders)
        mean = np.mean(table, axis=0)
        reference = mean if reference is None else reference
        test = paired_bootstrap(reference, mean, titles)
        row = [group, len(folders), f"{len(ids):,}", f"{mean.mean():.1f}", f"{low:.1f} to {high:.1f}", f"{seconds:.0f}"]
        print(f"| {' | '.join(map(str, row))} | {test.difference:.1f} ({test.low:.1f} to {test.high:.1f}) |")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
