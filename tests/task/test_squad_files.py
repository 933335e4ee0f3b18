"""The file around the rows: its packing, its bytes, and all that is not SQuAD."""

from __future__ import annotations

import gzip
import json
import random
import string
from pathlib import Path
from typing import Any

import pytest

from gpt2lab.errors import UserError
from gpt2lab.task.squad_rows import DROPPED, read_squad


def squad(**questions: str) -> dict[str, Any]:
    answers = [{"text": "Switzerland", "answer_start": 19}]
    entries = [{"id": name, "question": text, "answers": answers} for name, text in questions.items()]
    paragraph = {"context": "The Rhine rises in Switzerland.", "qas": entries}
    return {"version": "1.1", "data": [{"title": "Rhine", "paragraphs": [paragraph]}]}


def read(folder: Path, raw: bytes) -> list[dict[str, Any]]:
    (folder / "squad.json").write_bytes(raw)
    return list(read_squad(folder / "squad.json"))


SOUND = json.dumps(squad(q1="Where does it rise?")).encode()


@pytest.mark.parametrize("name", ["squad.json", "squad.json.gz", "squad"])
@pytest.mark.parametrize("packed", [False, True])
def test_gzip_is_told_by_its_bytes(tmp_path: Path, name: str, packed: bool) -> None:
    raw = json.dumps(squad(a="Where?", b="And where?")).encode()
    (tmp_path / name).write_bytes(gzip.compress(raw) if packed else raw)
    assert [row["id"] for row in read_squad(str(tmp_path / name))] == ["a", "b"]


def test_byte_order_mark_is_harmless(tmp_path: Path) -> None:
    (row,) = read(tmp_path, b"\xef\xbb\xbf" + SOUND)
    assert row["problem"] == ""


def test_bytes_that_are_not_utf8_cost_their_row_alone(tmp_path: Path) -> None:
    raw = json.dumps(squad(a="Where?", b="caf\u00e9?", c="na\u00efve?"), ensure_ascii=False).encode()
    pasted_from_latin1 = raw.replace("\u00e9".encode(), b"\xe9")
    rows = read(tmp_path, pasted_from_latin1)
    assert [row["problem"] for row in rows] == ["", "bad encoding", ""]
    assert rows[2]["question"] == "na\u00efve?"


PACKED = gzip.compress(SOUND)
NOT_SQUAD: list[tuple[bytes, str]] = [
    (b"", "is empty"),
    (b" \n\n", "is empty"),
    (gzip.compress(b""), "is empty"),
    (bytes(range(256)) * 8, "binary data"),
    (b"PK\x03\x04 and so on", "zip archive"),
    (SOUND.decode().encode("utf-16"), "UTF-16"),
    (SOUND[:-3], "invalid JSON"),
    (b"{'data': []}", "invalid JSON"),
    (b"id,context,question,answer\n1,a,b,c\n", "CSV or TSV"),
    (b"id\tcontext\n1\ta\n", "CSV or TSV"),
    (b"Once upon a time\n", "text that is not JSON"),
    (b'{"id": "1"}\n{"id": "2"}\n', "JSON lines"),
    (b"[" * 200_000, "nested too deeply"),
    (b"9" * 5000, "digits"),
    (b"[1, 2]", "a JSON list"),
    (b"null", "a JSON null"),
    (b"3.5", "a JSON number"),
    (b'"data"', "a JSON string"),
    (b'{"train": [], "dev": []}', "its keys: 'train', 'dev'"),
    (b"{}", "its keys: none"),
    (b'{"data": {"title": "Rhine"}}', 'a JSON object under "data"'),
    (b'{"data": null}', 'a JSON null under "data"'),
    (b'{"data": []}', "no data"),
    (b'{"data": [{"id": "1", "context": "a", "question": "b"}, 4]}', 'none has "paragraphs"'),
    (PACKED[:-12], "truncated gzip"),
    (PACKED[:2], "truncated gzip"),
    (PACKED[:20] + b"\x00\xff" + PACKED[22:], "damaged"),
    (gzip.compress(PACKED), "binary data"),
]


@pytest.mark.parametrize(("raw", "said"), NOT_SQUAD)
def test_a_file_that_is_not_squad_is_one_clear_line(tmp_path: Path, raw: bytes, said: str) -> None:
    path = tmp_path / "squad.json"
    path.write_bytes(raw)
    with pytest.raises(UserError) as caught:
        read_squad(path)  # at the call: no row has been asked for
    message = str(caught.value)
    assert said in message and str(path) in message and "expected SQuAD v1.1" in message
    assert "\n" not in message and message.isprintable()


def test_a_path_that_is_no_file_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "train-v1.1.json.gz").touch()
    near = tmp_path / "train-v1.1.json.gz"
    paths = {
        tmp_path / "train-v1.1.json": f"does not exist; did you mean {near}?",
        tmp_path / "no" / "such": "does not exist",
        tmp_path: "is a folder",
        near / "below": "cannot be read",
        tmp_path / ("x" * 5000): "cannot be read",
        Path("a\0b"): "cannot be read",
    }
    for path, said in paths.items():
        with pytest.raises(UserError, match="expected SQuAD") as caught:
            read_squad(path)
        assert said in str(caught.value)


def test_damaged_bytes_give_rows_or_one_line(tmp_path: Path) -> None:
    rng = random.Random(7)
    plain = json.dumps(squad(**dict.fromkeys(string.ascii_lowercase, "Where?")), ensure_ascii=False).encode()
    outcomes = {"rows": 0, "refused": 0}
    for trial in range(600):
        raw = bytearray(gzip.compress(plain) if trial % 3 == 0 else plain)
        for _ in range(rng.choice([1, 1, 4])):
            raw[rng.randrange(len(raw))] = rng.randrange(256)
        if trial % 5 == 0:
            raw = raw[: rng.randrange(len(raw))]
        try:
            rows = read(tmp_path, bytes(raw))
        except UserError as error:
            outcomes["refused"] += 1
            assert "\n" not in str(error)
        else:
            outcomes["rows"] += 1
            json.dumps(rows, ensure_ascii=False).encode()  # raises on a lone surrogate
            sound = [row for row in rows if row["problem"] not in DROPPED]
            answers = [(row["context"], row["answers"]) for row in sound]
            assert all(text["text"][0] in context for context, text in answers)
    assert min(outcomes.values()) > 50, outcomes
