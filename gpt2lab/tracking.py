"""What a run tells its tracker, and the tracker: a queue before a store that may be slow, or go away.

A tracker is never in training's way: a call returns at once, and a store that does not answer costs one
warning line. What a run must not lose is in its own folder (history.jsonl, metrics.json). The store is
MLflow's, see `tracking_mlflow`, the only file that imports mlflow.
"""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Optional

from gpt2lab.errors import UserError
from gpt2lab.tracking_uri import tracking_uri, without_credentials

if TYPE_CHECKING:
    from gpt2lab.tracking_mlflow import MlflowRun

Status = Literal["FINISHED", "FAILED", "KILLED"]
Value = tuple[str, float, int, int]  # metric, value, milliseconds since 1970, step

FLUSH_SECONDS = 2.0  # metrics wait this long for company: one call to the store for many steps
FLUSH_VALUES = 1000  # or until so many wait
SAMPLE_SECONDS = 10.0  # between two samples of system metrics
FINISH_SECONDS = 120.0  # patience with a live store at the end: uploads of files
BACKLOG = 20_000  # jobs waiting to be sent, beyond which metrics are dropped


@dataclass
class TrackingConfig:
    kind: str = "mlflow"
    """`mlflow` or `none`."""
    uri: Optional[str] = None  # noqa: UP045
    """Any MLflow tracking URI; null: an SQLite file, `<outputs>/mlflow.db`."""
    experiment: str = "gpt2lab"
    """Name of the MLflow experiment the runs are filed under; made when it is not there."""
    system_metrics: bool = False
    """Sample CPU, memory and GPU memory every 10 seconds, as `system/*`."""


@dataclass(frozen=True)
class DatasetInfo:
    name: str
    context: str
    """What the rows are for: `train`, `validation` or `evaluation`."""
    fingerprint: str
    """Hash of the rows; MLflow keeps its first 36 characters as the digest."""
    source: str
    """Where the rows came from: a path, a URL or `bundled`."""
    rows: int


@dataclass(frozen=True)
class RunInfo:
    """What is logged once about a run."""

    name: str
    params: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    datasets: list[DatasetInfo] = field(default_factory=list)


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested dicts as MLflow params: `{"a": {"b": 1}}` becomes `{"a.b": "1"}`.

    An enum is given by its name; a value over MLflow's 6,000 characters is cut there.
    """
    flat: dict[str, str] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = param_value(value)
    return flat


def param_value(value: object) -> str:
    """A param's value as MLflow takes it: a string within its limit, without a URI's credentials."""
    return without_credentials(value.name if isinstance(value, Enum) else str(value))[:6000]


def print_warning(line: str) -> None:
    print(line, file=sys.stderr)


def ensure_store(config: TrackingConfig, outputs: Path) -> str:
    """Make the SQLite database and its experiment, once, before jobs that share it start.

    Any number of processes may call this together. A server is not asked: its runs meet it when they
    start. Returns the tracking URI, "" for `kind=none`.

    Raises:
        UserError: as `open_tracker`, and where the database cannot be made.
    """
    uri = tracking_uri(config, outputs)
    if uri is not None and uri.startswith("sqlite"):
        from gpt2lab.tracking_mlflow import make_store

        make_store(uri, config.experiment, outputs.absolute() / "mlartifacts")
    return uri or ""


def open_tracker(
    config: TrackingConfig,
    outputs: Path,
    info: RunInfo,
    *,
    run_id: str | None = None,
    parent_id: str | None = None,
    warn: Callable[[str], None] = print_warning,
) -> Tracker:
    """Start a run, or go on with `run_id`; under a sweep's parent run where `parent_id` names one.

    A store that does not answer gives one call of `warn`, in the caller's thread, and a tracker that
    does nothing. Then `run_id` is None, or what was asked for, so that a later resume finds it.

    Raises:
        UserError: an unknown kind, a URI that MLflow does not know, an experiment that was deleted in
            the store, or an SQLite file that cannot be made or is not a database.
    """
    uri = tracking_uri(config, outputs)
    if uri is None:
        return Tracker()
    from gpt2lab.tracking_mlflow import MlflowRun

    artifacts = outputs.absolute() / "mlartifacts"
    run = MlflowRun(uri, config.experiment, artifacts, info, run_id=run_id, parent_id=parent_id)
    return Tracker(run, system_metrics=config.system_metrics, warn=warn)


class Tracker:
    """A live run of a tracking store; without a store, `Tracker()`, it does nothing and has no run_id.

    Jobs go through a queue to one daemon thread, the only one that meets the store; `warn` is called in
    the thread that uses the tracker. Leaving the `with` block finishes the run: FAILED on an exception,
    KILLED on an interrupt or an exit. Nothing here raises once the run is open.
    """

    def __init__(
        self,
        run: MlflowRun | None = None,
        *,
        system_metrics: bool = False,
        warn: Callable[[str], None] = print_warning,
    ) -> None:
        self._run, self._warn = run, warn
        self._warnings: deque[str] = deque()
        self._jobs: queue.Queue[list[Value] | Callable[[], object] | None] = queue.Queue()
        self._lock = threading.Lock()
        self._opened, self._closed = threading.Event(), threading.Event()
        self._mistake: UserError | None = None
        self._down = self._finished = run is None
        self._full = False
        self._step = 0
        if run is None:
            return
        threading.Thread(target=self._work, args=(run,), name="tracking", daemon=True).start()
        if not self._opened.wait(run.open_seconds):
            self._give_up(TimeoutError())
        if self._mistake is not None:
            self._jobs.put(None)
            raise self._mistake
        self._speak()
        if system_metrics and not self._down:
            threading.Thread(target=self._sample, name="system metrics", daemon=True).start()

    @property
    def run_id(self) -> str | None:
        return self._run.run_id if self._run else None

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Record the values of one step."""
        self._step = step
        self._put_metrics(metrics, step)
        self._speak()

    def log_files(self, folder: Path, skip: Iterable[str] = ("checkpoints",)) -> None:
        """Upload the files below `folder`, except what is named, or lies in a folder named, in `skip`."""
        if self._run is not None:
            self._put(partial(self._run.upload, folder, frozenset(skip)))

    def set_tags(self, tags: Mapping[str, str]) -> None:
        if self._run is not None:
            self._put(partial(self._run.send, tags=dict(tags)))

    def finish(self, status: Status = "FINISHED") -> None:
        """Send what waits and close the run; returns at once where the store is down, and after two
        minutes at the latest. A second call does nothing."""
        if self._finished or self._run is None:
            return
        self._put(partial(self._run.close, status))
        self._finished = True
        self._jobs.put(None)
        deadline = time.monotonic() + FINISH_SECONDS
        while not self._closed.wait(0.05) and not self._down:
            if time.monotonic() > deadline:
                self._give_up(TimeoutError())
        self._speak()

    def __enter__(self) -> Tracker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish("FINISHED" if kind is None else "FAILED" if issubclass(kind, Exception) else "KILLED")

    def _put(self, job: Callable[[], object]) -> None:
        if not (self._down or self._finished):
            self._jobs.put(job)
        self._speak()

    def _put_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        if self._down or self._finished:
            return
        if self._jobs.qsize() < BACKLOG:
            now = int(time.time() * 1000)
            self._jobs.put([(name, float(value), now, step) for name, value in metrics.items()])
        elif not self._full and self._run is not None:
            self._full = True
            self._warnings.append(f"{self._run.store} is slower than training: it will miss steps")

    def _speak(self) -> None:
        while self._warnings:
            self._warn(self._warnings.popleft())

    def _note(self, warning: str | None) -> None:
        if warning:
            self._warnings.append(warning)

    def _give_up(self, error: Exception) -> None:
        with self._lock:  # both threads may come here, for one warning
            if self._down or self._run is None:
                return
            trouble = f"{self._run.store} {self._run.trouble(error)}"
            self._warnings.append(f"{trouble}: training goes on, history.jsonl has everything")
            self._down = True

    def _attempt(self, job: Callable[[], object]) -> None:
        if self._down:
            return
        try:
            job()
        except UserError as mistake:  # of the start: raised where the tracker is opened
            self._mistake, self._down = mistake, True
        except Exception as error:  # whatever ails the store, it is said once and training goes on
            self._give_up(error)

    def _work(self, run: MlflowRun) -> None:
        """The background thread: start the run, then gather metrics and do the other jobs in order."""
        self._attempt(lambda: self._note(run.start()))
        self._opened.set()
        values: list[Value] = []
        due = 0.0
        while True:
            try:
                job = self._jobs.get(timeout=max(0.0, due - time.monotonic()) if values else None)
            except queue.Empty:
                job = []
            if isinstance(job, list):
                due = due if values else time.monotonic() + FLUSH_SECONDS
                values += job
                if len(values) < FLUSH_VALUES and time.monotonic() < due:
                    continue
            self._attempt(partial(run.send, values))
            values = []
            if job is None:
                self._closed.set()
                return
            if callable(job):
                self._attempt(job)

    def _sample(self) -> None:
        """The second thread: system metrics at the step that training has reached."""
        from gpt2lab.tracking_mlflow import system_metrics

        wait = 1.0  # so that a short run has a sample
        while not (self._closed.wait(wait) or self._down):
            self._put_metrics(system_metrics(), self._step)
            wait = SAMPLE_SECONDS
