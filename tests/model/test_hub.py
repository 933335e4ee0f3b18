"""The hub, played by a small server on this machine: probing it, fetching from it, and its silence."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote, urlsplit

import pytest

from gpt2lab.errors import UserError
from gpt2lab.model import hub

COMMIT = "89abcdef0123456789abcdef0123456789abcdef"
REPOSITORY = "openai-community/gpt2"
FILES = {
    "config.json": b'{"model_type": "gpt2"}',
    "model.safetensors": b"weights",
    "tokenizer.json": b'{"model": {}}',  # each file its own bytes: equal ones are downloaded once
    "vocab.json": b'{"a": 0}',
    "merges.txt": b"#version: 0.2",
    "pytorch_model.bin": b"pickle",
    "onnx/config.json": b"{}",
    "README.md": b"a model",
}


class Hub(BaseHTTPRequestHandler):
    """The four answers huggingface_hub needs: a file's head and body, a revision's commit, its file list."""

    files: ClassVar[dict[str, bytes]] = FILES
    served: ClassVar[list[str]] = []

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        if path == f"/api/models/{REPOSITORY}/revision/main":
            return self.send(json.dumps({"id": REPOSITORY, "sha": COMMIT, "siblings": []}).encode(), body)
        if path == f"/api/models/{REPOSITORY}/tree/{COMMIT}":
            tree = [{"type": "file", "path": name, "size": len(data), "oid": etag(data)}
                    for name, data in self.files.items()]  # fmt: skip
            return self.send(json.dumps(tree).encode(), body)
        for revision in ("main", COMMIT):
            name = path.removeprefix(f"/{REPOSITORY}/resolve/{revision}/")
            if name in self.files:
                if body:
                    self.served.append(name)
                return self.send(self.files[name], body)
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def send(self, data: bytes, body: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", f'"{etag(data)}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, format: str, *values: object) -> None:
        """Quiet."""


def etag(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


def use(monkeypatch: pytest.MonkeyPatch, port: int) -> str:
    """What HF_ENDPOINT does when huggingface_hub is imported, done afterwards."""
    endpoint = f"http://127.0.0.1:{port}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", endpoint)
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
    return endpoint


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "SECONDS", 0.5)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hub]]:
    handler = type("Handler", (Hub,), {"files": dict(FILES), "served": []})
    listening = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    use(monkeypatch, listening.server_port)
    yield handler
    listening.shutdown()
    listening.server_close()
    thread.join()


def test_fetch_takes_only_what_is_needed_and_the_cache_has_it_afterwards(server: type[Hub]) -> None:
    assert hub.cached("gpt2", None) is None
    assert hub.probe("gpt2") == ""
    folder = hub.fetch("gpt2", None)
    assert folder.name == COMMIT  # the revision that is recorded
    wanted = {"config.json", "model.safetensors", "tokenizer.json", "vocab.json", "merges.txt"}
    assert set(server.served) == wanted
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == {name: FILES[name] for name in wanted}
    assert hub.cached("gpt2", None) == hub.cached("gpt2", "main") == hub.cached("gpt2", COMMIT) == folder
    assert hub.cached("gpt2", "other") is None and hub.cached("gpt2-xl", None) is None


def test_the_vocabulary_alone_can_be_fetched(server: type[Hub]) -> None:
    folder = hub.fetch("gpt2", None, weights=False)
    assert set(server.served) == {"tokenizer.json", "vocab.json", "merges.txt"}
    assert hub.cached("gpt2", None, weights=False) == folder
    assert hub.cached("gpt2", None) is None
    assert hub.fetch("gpt2", None) == folder  # and the rest later


def test_a_repository_without_safetensors_is_an_error(server: type[Hub]) -> None:
    del server.files["model.safetensors"]
    with pytest.raises(UserError, match="no safetensors weights"):
        hub.fetch("gpt2", None)


def test_what_the_hub_does_not_have_is_said(server: type[Hub]) -> None:
    assert hub.probe("gpt2", "no-such-branch").endswith("answered 404 for openai-community/gpt2@no-such-branch")
    with pytest.raises(UserError, match="download of openai-community/gpt2@no-such-branch failed") as caught:
        hub.fetch("gpt2", "no-such-branch")
    assert "\n" not in str(caught.value)


def test_offline_mode_is_honoured(server: type[Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert hub.probe("gpt2") == "HF_HUB_OFFLINE is set"


def test_a_refused_connection_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:  # bound, not listening: its port refuses
        taken.bind(("127.0.0.1", 0))
        endpoint = use(monkeypatch, taken.getsockname()[1])
        assert hub.probe("gpt2").startswith(f"{endpoint} cannot be reached")


def test_a_server_that_accepts_and_says_nothing_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        use(monkeypatch, silent.getsockname()[1])
        assert "cannot be reached (ReadTimeout)" in hub.probe("gpt2")


def test_a_request_that_never_returns_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """As name resolution does on a network that drops packets: no timeout of the request reaches it."""
    release = threading.Event()
    monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", lambda *values, **named: release.wait())
    monkeypatch.setattr(hub, "SECONDS", -0.9)  # the thread is given SECONDS + 1
    assert hub.probe("gpt2").startswith("no answer from")
    release.set()
