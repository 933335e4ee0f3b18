"""MLflow: a fresh SQLite store, and one run in any store. The only file that imports mlflow."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import posixpath
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gpt2lab.errors import UserError
from gpt2lab.tracking import DatasetInfo, RunInfo, Status, Value, param_value
from gpt2lab.tracking_uri import DATABASES, without_credentials

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput

METRICS_PER_CALL = 250  # MLflow allows 1000, which a busy server may not store within the timeout
# MLflow's limits (mlflow.utils.validation): params or tags a call, then characters
PARAMS_PER_CALL, MAX_KEY, MAX_TAG, MAX_DIGEST = 100, 250, 8000, 36


def import_mlflow() -> None:
    """Have MLflow fail fast, print nothing and report usage to nobody, unless the environment decides."""
    logs_wanted = "MLFLOW_LOGGING_LEVEL" in os.environ
    for name, value in (
        ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0"),  # by default a dead server blocks for minutes
        ("MLFLOW_HTTP_REQUEST_TIMEOUT", "3"),  # seconds
        ("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true"),
        ("MLFLOW_DISABLE_TELEMETRY", "true"),
    ):
        os.environ.setdefault(name, value)
    import mlflow  # noqa: F401

    if not logs_wanted:
        # MLflow logs a traceback for each failed statement; the tracker says it in one line
        for name in ("mlflow", "alembic", "urllib3.connectionpool"):
            logging.getLogger(name).setLevel(logging.CRITICAL)


def make_store(uri: str, experiment: str, artifacts: Path) -> None:
    """Make an SQLite store and its experiment; any number of processes may do so together.

    Raises:
        UserError: the file cannot be made, is not a database, or is of another MLflow version.
    """
    import_mlflow()
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        make_database(uri)
        find_experiment(MlflowClient(uri), experiment, artifacts)
    except MlflowException as error:
        raise UserError(f"tracking database {uri}: {_reason(error)}") from error


def make_database(uri: str) -> None:
    """Put an empty MLflow database at an SQLite URI, under a file lock, unless one is there.

    Raises:
        UserError: the file cannot be made or is not a database.
    """
    from mlflow import MlflowClient

    path = Path(uri.partition(":///")[2].partition("?")[0])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(f"{path}.lock", "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # let go when the file closes, a killed process's too
            if not path.exists() or path.stat().st_size == 0:
                # a process killed between migrations leaves a half-made file: never under the real name
                unfinished = Path(f"{path}.unfinished")
                unfinished.unlink(missing_ok=True)
                MlflowClient(f"sqlite:///{unfinished}").search_experiments(max_results=1)
                os.replace(unfinished, path)
        with open(path, "rb") as file:
            if file.read(16) != b"SQLite format 3\0":  # MLflow would try for minutes
                raise UserError(f"tracking database {path} is not an SQLite file; choose another tracking.uri")
    except OSError as error:
        raise UserError(f"tracking database {path}: {error.strerror}; choose another tracking.uri") from error


def find_experiment(client: MlflowClient, name: str, artifacts: Path | None) -> str:
    """The id of the experiment `name`, made if need be, with its files under `artifacts` (None: where the
    server wants them).

    Raises:
        UserError: the experiment was deleted in the store.
    """
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return client.create_experiment(name, artifact_location=artifacts.as_uri() if artifacts else None)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            found = client.get_experiment_by_name(name)  # another process was faster
    if found is None or found.lifecycle_stage != "active":
        raise UserError(f"tracking.experiment: {name!r} was deleted in the store; restore it or choose another")
    return str(found.experiment_id)


class MlflowRun:
    """One run in an MLflow store. Every method meets the store, and may block or raise what MLflow raises;
    explicit ids throughout, so that runs nest and several live in one process."""

    def __init__(
        self,
        uri: str,
        experiment: str,
        artifacts: Path,
        info: RunInfo,
        *,
        run_id: str | None = None,
        parent_id: str | None = None,
    ) -> None:
        import_mlflow()
        self.run_id = run_id
        self.store = f"tracking {'server' if uri.startswith('http') else 'store'} at {without_credentials(uri)}"
        # a dead server fails in 3 s, a busy one is asked six times; a fresh SQLite file takes seconds to make
        self.open_seconds = 60.0 if uri.startswith("sqlite") else 30.0
        self._uri, self._experiment, self._info, self._parent_id = uri, experiment, info, parent_id
        # a server knows where files go; a bare database would have them below the working directory
        self._artifacts = artifacts if uri.startswith(DATABASES) else None

    def start(self) -> str | None:
        """Create the run, or reopen `run_id`, and log what is logged once. Returns a warning, or None."""
        from mlflow import MlflowClient

        if self._uri.startswith("sqlite"):
            make_database(self._uri)
        self._client = MlflowClient(self._uri)
        wanted = self.run_id
        logged = self._reopen(wanted) if wanted else None
        if logged is None:
            experiment_id = find_experiment(self._client, self._experiment, self._artifacts)
            tags = {"mlflow.parentRunId": self._parent_id} if self._parent_id else {}
            run = self._client.create_run(experiment_id, tags=tags, run_name=self._info.name)
            self.run_id = str(run.info.run_id)
        self._id = self.run_id or ""
        # a logged param cannot change: a reopened run gets only those that its first start did not reach
        params = {_key(name): param_value(value) for name, value in self._info.params.items()}
        self.send(params={k: v for k, v in params.items() if k not in (logged or {})}, tags=self._info.tags)
        if self._info.datasets:
            self._client.log_inputs(self._id, datasets=dataset_inputs(self._info.datasets))
        return f"{self.store} has no run {wanted}: a new one is started" if wanted and logged is None else None

    def _reopen(self, run_id: str) -> Mapping[str, str] | None:
        """Set a run to RUNNING again. Returns the params it has, None if the store has no such run."""
        from mlflow.exceptions import MlflowException

        try:
            run = self._client.get_run(run_id)
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            return None
        if run.info.lifecycle_stage != "active":
            return None
        self._client.update_run(run_id, status="RUNNING")
        params: dict[str, str] = run.data.params
        return params

    def send(
        self,
        values: Sequence[Value] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Log metrics, params and tags, in as few calls as MLflow allows."""
        from mlflow.entities import Metric, Param, RunTag

        metrics = [Metric(_key(name), value, when, step) for name, value, when, step in values]
        entries = [Param(name, value) for name, value in (params or {}).items()]
        labels = [RunTag(_key(k), without_credentials(str(v))[:MAX_TAG]) for k, v in (tags or {}).items()]
        for start in range(0, len(metrics), METRICS_PER_CALL):
            self._client.log_batch(self._id, metrics=metrics[start : start + METRICS_PER_CALL])
        for start in range(0, max(len(entries), len(labels)), PARAMS_PER_CALL):
            part = slice(start, start + PARAMS_PER_CALL)
            self._client.log_batch(self._id, params=entries[part], tags=labels[part])

    def upload(self, folder: Path, skip: frozenset[str]) -> None:
        """Copy the files below `folder` to the run's artifacts, paths kept, without names in `skip`."""
        for path in sorted(folder.rglob("*")):
            inside = path.relative_to(folder)
            if path.is_file() and skip.isdisjoint(inside.parts):
                parent = inside.parent.as_posix()
                self._client.log_artifact(self._id, str(path), None if parent == "." else parent)

    def close(self, status: Status) -> None:
        self._client.set_terminated(self._id, status)

    def trouble(self, error: Exception) -> str:
        """What ails the store, without credentials, as the end of a sentence that begins with its name."""
        from requests.exceptions import RequestException

        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, (RequestException, TimeoutError)):
                return "does not answer"
            cause = cause.__cause__ or cause.__context__
        secret = urlsplit(self._uri).password if "@" in self._uri else None
        reason = _reason(error)
        return f"failed ({reason.replace(secret, '***') if secret else reason})"


def dataset_inputs(datasets: Iterable[DatasetInfo]) -> list[DatasetInput]:
    """MLflow's entities. It keeps one input a name and digest: a second use is named by its context."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    inputs, seen = [], set()
    for data in datasets:
        digest = data.fingerprint[:MAX_DIGEST]
        name = data.name if (data.name, digest) not in seen else f"{data.name} ({data.context})"
        seen.add((name, digest))
        dataset = Dataset(
            name=name,
            digest=digest,
            source_type="local",
            source=json.dumps({"uri": without_credentials(data.source)}),
            profile=json.dumps({"num_rows": data.rows}),
        )
        inputs.append(DatasetInput(dataset, [InputTag("mlflow.data.context", data.context)]))
    return inputs


def system_metrics() -> dict[str, float]:
    """CPU and memory of the machine in percent, memory of this process in megabytes (1e6 bytes)."""
    import psutil

    sample = {
        "system/cpu_utilization_percentage": psutil.cpu_percent(),  # since the last sample
        "system/system_memory_usage_percentage": psutil.virtual_memory().percent,
        "system/process_memory_megabytes": psutil.Process().memory_info().rss / 1e6,
    }
    torch = sys.modules.get("torch")  # a run without a GPU, or without torch, must not load it here
    if torch is not None and torch.cuda.is_initialized():
        for gpu in range(torch.cuda.device_count()):
            sample[f"system/gpu_{gpu}_process_memory_megabytes"] = torch.cuda.memory_reserved(gpu) / 1e6
    return sample


def _key(name: str) -> str:
    """A name that MLflow accepts: its characters, no empty or leading part of a path, within its limit."""
    return posixpath.normpath(re.sub(r"[^\w\-. /:]", "_", name)).lstrip("./")[:MAX_KEY]


def _reason(error: Exception) -> str:
    return without_credentials((str(error) or type(error).__name__).splitlines()[0])[:200]
