"""Samples, held-out groups, fingerprints, and rows kept on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from datasets import Dataset

from gpt2lab.data import sources
from gpt2lab.errors import UserError

CALLS: list[int] = []


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    CALLS.clear()


def rows(count: int) -> Iterator[dict]:
    CALLS.append(count)
    for i in range(count):
        yield {"id": str(i), "title": f"t{i % 7}"}


def mistaken() -> Iterator[dict]:
    yield {"id": "0"}
    raise UserError("line 2 is wrong")


def broken() -> Iterator[dict]:
    yield {"id": "0"}
    raise ZeroDivisionError("the cause")


def test_rows_are_read_once_and_mapped() -> None:
    first = sources.from_rows(rows, {"count": 5}, "a")
    again = sources.from_rows(rows, {"count": 5}, "a")
    assert first.to_list() == again.to_list() == list(rows(5)) and first.cache_files
    assert CALLS == [5, 5], "once by from_rows, once by this test"
    sources.from_rows(rows, {"count": 5}, "b")
    assert CALLS == [5, 5, 5], "another fingerprint is another content"


def test_errors_of_rows_come_through() -> None:
    with pytest.raises(UserError, match=r"^line 2 is wrong$"):
        sources.from_rows(mistaken, {}, "m")
    with pytest.raises(Exception, match="generating the dataset") as caught:
        sources.from_rows(broken, {}, "b")
    assert isinstance(caught.value.__cause__, ZeroDivisionError), "what went wrong is not hidden"


def test_sample_is_seeded_and_not_the_first_rows() -> None:
    data = Dataset.from_list(list(rows(1000)))
    chosen = [int(i) for i in sources.sample(data, 100, seed=1)["id"]]
    assert chosen == sorted(set(chosen)) and len(chosen) == 100
    assert chosen == [int(i) for i in sources.sample(data, 100, seed=1)["id"]]
    assert chosen != [int(i) for i in sources.sample(data, 100, seed=2)["id"]]
    assert 400 < sum(chosen) / 100 < 600, "from all over the data"
    assert sources.sample(data, None, 1) is data and sources.sample(data, 1000, 1) is data


@pytest.mark.parametrize("fraction", [0.001, 0.05, 0.3, 0.999])
def test_hold_out_keeps_groups_whole(fraction: float) -> None:
    sizes = [40, 1, 7, 30, 22, 50, 3, 47]  # unequal articles
    data = Dataset.from_list([{"title": f"t{g}", "id": i} for g, n in enumerate(sizes) for i in range(n)])
    for seed in range(5):
        rest, held = sources.hold_out(data, fraction, "title", seed)
        titles = set(rest["title"]), set(held["title"])
        assert not titles[0] & titles[1] and titles[0] and titles[1]
        assert len(rest) + len(held) == len(data)
        assert sum(sizes[int(t[1:])] for t in titles[1]) == len(held)
        assert len(titles[0]) == 1 or len(held) >= fraction * len(data)  # enough
        assert len(titles[1]) == 1 or len(held) - max(sizes) <= fraction * len(data)  # not far more
    again = [sources.hold_out(data, fraction, "title", 1)[1].to_list() for _ in range(2)]
    assert again[0] == again[1]


def test_one_group_cannot_be_parted() -> None:
    with pytest.raises(UserError, match=r"only one title \(t0\)"):
        sources.hold_out(Dataset.from_list([{"title": "t0"}] * 4), 0.5, "title", 0)


def test_fingerprints(tmp_path: Path) -> None:
    file = tmp_path / "data.json"
    file.write_text("abc")
    first = sources.file_fingerprint(file)
    assert len(first) == 16 and first == sources.file_fingerprint(str(file))
    file.write_text("abd")
    assert sources.file_fingerprint(file) != first
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.txt").write_text("one")
    before = sources.file_fingerprint(folder)
    (folder / "b.txt").write_text("")
    assert sources.file_fingerprint(folder) != before
    assert sources.digest("a", 1) == sources.digest("a", 1) != sources.digest("a1")
    assert sources.code_fingerprint(sources) != sources.code_fingerprint(sources, sources)
