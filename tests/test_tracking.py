"""The tracker against MLflow's own client, which reads back what arrived."""

from __future__ import annotations

import math
import multiprocessing
import os
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from enum import Enum
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from gpt2lab.errors import UserError
from gpt2lab.tracking import (
    DatasetInfo,
    RunInfo,
    Tracker,
    TrackingConfig,
    ensure_store,
    flatten,
    open_tracker,
)
from gpt2lab.tracking_uri import tracking_uri, without_credentials


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for all tests that do not need a fresh one: making it takes seconds."""
    folder = tmp_path_factory.mktemp("out puts")
    ensure_store(TrackingConfig(), folder)
    return folder


@pytest.fixture
def warnings() -> list[str]:
    return []


def reader(outputs: Path) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{outputs / 'mlflow.db'}")


def closed_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def test_all_that_is_logged_arrives(outputs: Path, warnings: list[str]) -> None:
    params = flatten({"adapter": {"rank": 16, "name": "lora"}, "many": {str(i): i for i in range(250)}})
    info = RunInfo(
        "squad-lora",
        params | {"long": "x" * 9000, "none": None},
        {"git.commit": "abc"},
        [
            DatasetInfo("squad", "train", "f" * 64, "bundled", 7),
            DatasetInfo("squad", "validation", "f" * 64, "bundled", 2),
        ],
    )
    with open_tracker(TrackingConfig(), outputs, info, warn=warnings.append) as tracker:
        for step in range(1500):
            tracker.log({"loss": 1 / (step + 1), "eval/f1@5": step}, step)
        tracker.log({"lr": math.nan}, 1500)
        tracker.set_tags({"best": "yes"})
    client = reader(outputs)
    run = client.get_run(tracker.run_id)
    assert run.info.status == "FINISHED" and run.info.run_name == "squad-lora"
    history = client.get_metric_history(tracker.run_id, "loss")
    assert {point.step: point.value for point in history} == {s: 1 / (s + 1) for s in range(1500)}
    assert run.data.metrics["eval/f1_5"] == 1499 and math.isnan(run.data.metrics["lr"])
    assert run.data.params["adapter.rank"] == "16" and run.data.params["many.249"] == "249"
    assert len(run.data.params) == 254 and len(run.data.params["long"]) == 6000
    assert run.data.tags["git.commit"] == "abc" and run.data.tags["best"] == "yes"
    inputs = {item.tags[0].value: item.dataset for item in run.inputs.dataset_inputs}
    assert set(inputs) == {"train", "validation"}
    assert inputs["train"].name == "squad" and inputs["train"].digest == "f" * 36
    assert '"num_rows": 7' in inputs["train"].profile
    assert warnings == []


def test_files_are_uploaded_without_checkpoints(outputs: Path, tmp_path: Path) -> None:
    for name in ("metrics.json", "adapter/weights.bin", "checkpoints/step-1/model.bin", "adapter/log.tmp"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    with open_tracker(TrackingConfig(), outputs, RunInfo("files")) as tracker:
        tracker.log_files(tmp_path, skip=("checkpoints", "log.tmp"))
    client = reader(outputs)
    assert [f.path for f in client.list_artifacts(tracker.run_id)] == ["adapter", "metrics.json"]
    assert [f.path for f in client.list_artifacts(tracker.run_id, "adapter")] == ["adapter/weights.bin"]
    stored = list((outputs / "mlartifacts").rglob("weights.bin"))
    assert [path.read_text() for path in stored] == ["adapter/weights.bin"]


def test_children_of_a_sweep_and_two_open_trackers(outputs: Path) -> None:
    with open_tracker(TrackingConfig(), outputs, RunInfo("sweep")) as parent:
        first = open_tracker(TrackingConfig(), outputs, RunInfo("rank=4"), parent_id=parent.run_id)
        second = open_tracker(TrackingConfig(), outputs, RunInfo("rank=8"), parent_id=parent.run_id)
        first.log({"loss": 4}, 1)
        second.log({"loss": 8}, 1)
        first.finish()
        second.finish()
    client = reader(outputs)
    experiment = client.get_experiment_by_name("gpt2lab").experiment_id
    found = client.search_runs([experiment], f"tags.mlflow.parentRunId = '{parent.run_id}'")
    assert {run.info.run_name: run.data.metrics["loss"] for run in found} == {"rank=4": 4, "rank=8": 8}
    assert "loss" not in client.get_run(parent.run_id).data.metrics


def test_resume_continues_the_run(outputs: Path, warnings: list[str]) -> None:
    tracker = open_tracker(TrackingConfig(), outputs, RunInfo("r", {"lr": 1}))
    with pytest.raises(KeyboardInterrupt), tracker:
        tracker.log({"loss": 3}, 1)
        raise KeyboardInterrupt
    client = reader(outputs)
    assert client.get_run(tracker.run_id).info.status == "KILLED"
    again = open_tracker(
        TrackingConfig(), outputs, RunInfo("r", {"lr": 2}), run_id=tracker.run_id, warn=warnings.append
    )
    assert again.run_id == tracker.run_id
    assert client.get_run(again.run_id).info.status == "RUNNING"
    again.log({"loss": 2}, 2)
    again.finish("FAILED")
    run = client.get_run(again.run_id)
    assert run.data.params == {"lr": "1"} and run.info.status == "FAILED"
    assert [m.step for m in client.get_metric_history(again.run_id, "loss")] == [1, 2]
    assert warnings == []


def test_resume_of_a_run_that_is_gone_starts_a_new_one(outputs: Path, warnings: list[str]) -> None:
    for lost in ("0" * 32, "no such id!"):
        warnings.clear()
        tracker = open_tracker(TrackingConfig(), outputs, RunInfo("r"), run_id=lost, warn=warnings.append)
        tracker.finish()
        assert tracker.run_id not in (None, lost)
        assert len(warnings) == 1 and lost in warnings[0]


def test_exception_marks_the_run_failed(outputs: Path) -> None:
    tracker = open_tracker(TrackingConfig(), outputs, RunInfo("r"))
    with pytest.raises(ZeroDivisionError), tracker:
        raise ZeroDivisionError
    tracker.finish()  # a second finish changes nothing
    assert reader(outputs).get_run(tracker.run_id).info.status == "FAILED"


def test_system_metrics_arrive_at_the_step_of_training(outputs: Path) -> None:
    with open_tracker(TrackingConfig(system_metrics=True), outputs, RunInfo("r")) as tracker:
        tracker.log({"loss": 1}, 5)
        time.sleep(1.5)
    points = reader(outputs).get_metric_history(tracker.run_id, "system/process_memory_megabytes")
    assert points[0].step == 5 and points[0].value > 10  # an interpreter alone is more


def _meet(barrier: Any) -> None:
    import mlflow  # noqa: F401  first, so that the processes meet at the store and not in the import

    barrier.wait(60)


def _race(folder: str) -> str:
    tracker = open_tracker(TrackingConfig(), Path(folder), RunInfo(f"process {os.getpid()}"))
    tracker.log({"loss": 1}, 1)
    tracker.finish()
    time.sleep(0.5)  # so that each process takes one
    return tracker.run_id or ""


@pytest.mark.slow
def test_processes_race_to_make_a_fresh_store(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    with spawn.Pool(4, initializer=_meet, initargs=(spawn.Barrier(4),)) as pool:
        ids = pool.map(_race, [str(tmp_path)] * 4, chunksize=1)
    client = reader(tmp_path)
    assert len(set(ids)) == 4
    assert [client.get_run(run_id).data.metrics for run_id in ids] == [{"loss": 1}] * 4
    assert {experiment.name for experiment in client.search_experiments()} == {"Default", "gpt2lab"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mlflow.db", "mlflow.db.lock"]


def test_a_store_half_made_by_a_killed_process_is_made_again(tmp_path: Path, warnings: list[str]) -> None:
    (tmp_path / "mlflow.db.unfinished").write_bytes(b"SQLite format 3\0 and then the plug was pulled")
    open_tracker(TrackingConfig(), tmp_path, RunInfo("r"), warn=warnings.append).finish()
    assert warnings == [] and len(reader(tmp_path).search_experiments()) == 2


def within(seconds: float, call: Any) -> Any:
    """The result of `call`; fails, and does not hang, if that takes longer."""
    result: list[Any] = []
    thread = threading.Thread(target=lambda: result.append(call()), daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), f"no answer within {seconds} s"
    return result[0]


def _run_against(uri: str, outputs: Path, warnings: list[str], run_id: str | None = None) -> Tracker:
    config = TrackingConfig(uri=uri, system_metrics=True)
    tracker = open_tracker(config, outputs, RunInfo("r"), run_id=run_id, warn=warnings.append)
    tracker.log({"loss": 1}, 1)
    tracker.set_tags({"a": "b"})
    tracker.log_files(outputs)
    tracker.finish()
    return tracker


def test_dead_server_costs_one_warning(tmp_path: Path, warnings: list[str]) -> None:
    port = closed_port()
    tracker = within(20, lambda: _run_against(f"http://ada:pa@ss@127.0.0.1:{port}", tmp_path, warnings, "abc"))
    assert tracker.run_id == "abc"  # kept, for a resume when the server is back
    rest = "does not answer: training goes on, history.jsonl has everything"
    assert warnings == [f"tracking server at http://127.0.0.1:{port} {rest}"]


def test_server_that_hangs_costs_one_warning(
    tmp_path: Path, warnings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")  # and the user's own choice is kept
    with socket.create_server(("127.0.0.1", 0)) as server:
        tracker = within(20, lambda: _run_against(f"http://127.0.0.1:{server.getsockname()[1]}", tmp_path, warnings))
    assert tracker.run_id is None and len(warnings) == 1 and "does not answer" in warnings[0]


@pytest.fixture
def refusing_server() -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(403)
            self.end_headers()
            self.wfile.write(b"no entry for s3cret")

        do_POST = do_GET

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def test_refusing_server_is_quoted_without_the_secret(
    tmp_path: Path, warnings: list[str], refusing_server: int
) -> None:
    _run_against(f"http://ada:s3cret@127.0.0.1:{refusing_server}", tmp_path, warnings)
    assert len(warnings) == 1 and "403" in warnings[0]
    assert "s3cret" not in warnings[0] and "ada" not in warnings[0]


def test_store_that_dies_in_the_middle(outputs: Path, warnings: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import requests
    from mlflow import MlflowClient

    tracker = open_tracker(TrackingConfig(), outputs, RunInfo("r"), warn=warnings.append)
    assert tracker.run_id is not None
    calls: list[str] = []

    def die(self: object, run_id: str, *arguments: object, **more: object) -> None:
        calls.append(run_id)
        raise requests.exceptions.ConnectionError("gone")

    for name in ("log_batch", "set_terminated", "log_artifact"):
        monkeypatch.setattr(MlflowClient, name, die)
    for step in range(5000):
        tracker.log({"loss": 1}, step)
    tracker.set_tags({"a": "b"})
    within(20, tracker.finish)
    assert calls == [tracker.run_id]  # nothing is tried again
    assert len(warnings) == 1 and "does not answer" in warnings[0]


def test_database_that_fails_is_not_called_silent(
    outputs: Path, warnings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    tracker = open_tracker(TrackingConfig(), outputs, RunInfo("r"), warn=warnings.append)

    def fail(self: object, *arguments: object, **more: object) -> None:
        raise MlflowException("disk is full\nat length")

    monkeypatch.setattr(MlflowClient, "log_batch", fail)
    tracker.log({"loss": 1}, 1)
    tracker.finish()
    assert len(warnings) == 1 and "failed (disk is full): training goes on" in warnings[0]


def test_warnings_come_in_the_thread_of_training(tmp_path: Path) -> None:
    threads: list[threading.Thread] = []
    config = TrackingConfig(uri=f"http://127.0.0.1:{closed_port()}")
    open_tracker(config, tmp_path, RunInfo("r"), warn=lambda line: threads.append(threading.current_thread()))
    assert threads == [threading.current_thread()]


def test_credentials_are_not_logged(outputs: Path) -> None:
    secret = "https://ada:s3cret@host/x"
    info = RunInfo("r", {"tracking.uri": secret}, {"uri": secret}, [DatasetInfo("d", "train", "f", secret, 1)])
    tracker = open_tracker(TrackingConfig(), outputs, info)
    tracker.set_tags({"later": secret})
    tracker.finish()
    run = reader(outputs).get_run(tracker.run_id)
    assert run.data.params["tracking.uri"] == run.data.tags["later"] == "https://host/x"
    assert "s3cret" not in str(run.to_dictionary())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://user:secret@host:5000/a", "https://host:5000/a"),
        (
            "failed at postgresql+psycopg2://u:p@ss/word@db/x twice",
            "failed at postgresql+psycopg2://db/x twice",
        ),
        ("postgresql://db/x?user=u&password=p&ssl=1", "postgresql://db/x?user=u&password=***&ssl=1"),
        ("mail me@host, see https://host/a", "mail me@host, see https://host/a"),
    ],
)
def test_without_credentials(text: str, shown: str) -> None:
    assert without_credentials(text) == shown


@pytest.mark.parametrize(
    ("config", "part"),
    [
        (TrackingConfig(uri="htp://ada:s3cret@host"), "did you mean 'http'?"),
        (TrackingConfig(uri="foo://x"), "no scheme 'foo'"),
        (TrackingConfig(uri="mlruns"), "is no MLflow tracking URI"),
        (TrackingConfig(uri="file:///mlruns"), "no scheme 'file'"),
        (TrackingConfig(uri="http://ada:s3cret@host:port"), "no valid host and port"),
        (TrackingConfig(kind="mlfow"), "did you mean 'mlflow'?"),
        (TrackingConfig(experiment=" "), "tracking.experiment is empty"),
    ],
)
def test_mistakes_are_told_before_training(config: TrackingConfig, part: str, tmp_path: Path) -> None:
    for call in (
        lambda: open_tracker(config, tmp_path, RunInfo("r")),
        lambda: ensure_store(config, tmp_path),
    ):
        with pytest.raises(UserError) as caught:
            call()
        assert part in str(caught.value)
        assert "s3cret" not in str(caught.value) and "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_and_a_deleted_experiment(outputs: Path, tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("dear diary")
    for make in (lambda: ensure_store(TrackingConfig(), tmp_path), lambda: _open(TrackingConfig(), tmp_path)):
        with pytest.raises(UserError, match="not an SQLite file"):
            make()
    assert (tmp_path / "mlflow.db").read_text() == "dear diary"
    client = reader(outputs)
    client.delete_experiment(client.create_experiment("old"))
    with pytest.raises(UserError, match="'old' was deleted"):
        _open(TrackingConfig(experiment="old"), outputs)


def _open(config: TrackingConfig, outputs: Path) -> Tracker:
    return open_tracker(config, outputs, RunInfo("r"))


def test_sqlite_uri_does_not_follow_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert tracking_uri(TrackingConfig(), Path("outputs")) == f"sqlite:///{tmp_path}/outputs/mlflow.db"
    assert tracking_uri(TrackingConfig(uri="sqlite:///a.db"), Path("o")) == f"sqlite:///{tmp_path}/a.db"
    assert tracking_uri(TrackingConfig(uri="sqlite:////b/a.db"), Path("o")) == "sqlite:////b/a.db"


def test_null_tracker(tmp_path: Path) -> None:
    with open_tracker(TrackingConfig(kind="none"), tmp_path, RunInfo("r")) as tracker:
        tracker.log({"loss": 1}, 1)
        tracker.set_tags({"a": "b"})
        tracker.log_files(tmp_path)
    assert tracker.run_id is None and ensure_store(TrackingConfig(kind="none"), tmp_path) == ""
    assert list(tmp_path.iterdir()) == []


def test_flatten() -> None:
    class Kind(Enum):
        lora = 1

    config = {"a": {"b": {"c": 1e-4}, "kind": Kind.lora}, "d": [1, 2], "e": None, "f": {}, "g": True}
    assert flatten(config) == {
        "a.b.c": "0.0001",
        "a.kind": "lora",
        "d": "[1, 2]",
        "e": "None",
        "f": "{}",
        "g": "True",
    }


def test_config_is_an_omegaconf_schema() -> None:
    from omegaconf import OmegaConf

    config = OmegaConf.merge(OmegaConf.structured(TrackingConfig), {"uri": "http://host", "kind": "none"})
    assert OmegaConf.to_object(config) == TrackingConfig(kind="none", uri="http://host")


def test_nothing_is_printed_and_the_working_directory_stays_clean(tmp_path: Path) -> None:
    (tmp_path / "cwd").mkdir()
    script = """
        import sys
        from pathlib import Path
        from gpt2lab.tracking import RunInfo, TrackingConfig, open_tracker
        assert "mlflow" not in sys.modules
        outputs = Path(sys.argv[1])
        with open_tracker(TrackingConfig(), outputs, RunInfo("r", {"a": 1})) as tracker:
            tracker.log({"loss": 1.0}, 1)
            tracker.log_files(outputs / "run")
    """
    root = Path(__file__).resolve().parents[1]
    (tmp_path / "out" / "run").mkdir(parents=True)
    (tmp_path / "out" / "run" / "metrics.json").write_text("{}")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "out")],
        cwd=tmp_path / "cwd",
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list((tmp_path / "cwd").iterdir()) == []
    assert len(list((tmp_path / "out" / "mlartifacts").rglob("metrics.json"))) == 1
