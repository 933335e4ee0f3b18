"""What a person sees while a run goes on: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any

EVERY = 10.0  # seconds between plain lines


class Progress:
    """Counts steps or features of one stage; used as a context manager."""

    def __init__(self, label: str, total: int, done: int = 0, unit: str = "step"):
        self.label, self.total, self.done, self.unit, self.first = label, total, done, unit, done
        self.began = self.last = time.monotonic()
        self.bar: Any = None
        if sys.stderr.isatty():
            from tqdm import tqdm

            self.bar = tqdm(total=total, initial=done, desc=label, unit=unit, dynamic_ncols=True, leave=False)

    def advance(self, by: int = 1, **figures: float) -> None:
        """`by` more are done; `figures` stand in the line."""
        self.done += by
        if self.bar is not None:
            self.bar.set_postfix({k: f"{v:.4g}" for k, v in figures.items()}, refresh=False)
            self.bar.update(by)
            return
        now = time.monotonic()
        if now - self.last >= EVERY:
            self.last = now
            rate = (self.done - self.first) / (now - self.began)
            left = (self.total - self.done) / rate if rate else float("nan")
            values = "".join(f", {k} {v:.4g}" for k, v in figures.items())
            say(f"{self.label}: {self.unit} {self.done:,} of {self.total:,}{values}, {rate:.3g} {self.unit}s/s, "
                f"{duration(left)} left")  # fmt: skip

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: Any) -> None:
        if self.bar is not None:
            self.bar.close()


def say(line: str) -> None:
    """A line to the user, at once; above the bar, if one is drawn."""
    if sys.stderr.isatty():
        from tqdm import tqdm

        tqdm.write(line, file=sys.stdout)
    else:
        print(line)
    sys.stdout.flush()


def duration(seconds: float) -> str:
    """`45 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds != seconds or seconds == float("inf"):
        return "unknown time"
    whole = round(seconds)
    if whole < 90:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
