"""Read official SQuAD v1.1 JSON into flat rows, and say what is wrong with each row instead of failing on it.

Format (Rajpurkar et al. 2016, https://arxiv.org/abs/1606.05250):
`{"data": [{"title", "paragraphs": [{"context", "qas": [{"id", "question", "answers": [{"text",
"answer_start"}]}]}]}]}`, where `answer_start` counts characters from the beginning of `context`.
"""

from __future__ import annotations

import difflib
import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from gpt2lab.errors import UserError

CORRECTED = "offset corrected"
REMOVED = "answers removed"
DROPPED: frozenset[str] = frozenset(
    {
        "answer not in context",
        "bad encoding",
        "duplicate id",
        "empty answer",
        "empty context",
        "empty id",
        "empty question",
        "missing field",
        "no answers",
        "unanswerable",
        "wrong type",
    }
)
"""Problems of rows that are not to be used; rows marked `CORRECTED` or `REMOVED` are kept."""

_EXPECTED = 'expected SQuAD v1.1 JSON, {"data": [{"title": ..., "paragraphs": [...]}]}, plain or gzipped'
_ARCHIVES = {b"PK\x03\x04": "zip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"(\xb5/\xfd": "zstd"}
_BAD_CHARACTERS = re.compile(r"[\ud800-\udfff]")  # a lone surrogate, which is also what decoding puts for a lost byte
_SHOWN_IDS = 3


def read_squad(path: str | Path) -> Iterator[dict[str, Any]]:
    """Flat rows of a SQuAD v1.1 file, plain or gzipped (told by the first bytes, not by the name).

    A row is `{"id": str, "title": str, "context": str, "question": str, "answers": {"text": [str],
    "answer_start": [int]}, "problem": str}`. `problem` is "" for a sound row; `CORRECTED` where an answer
    stands elsewhere in the context than stated (the occurrence nearest to the stated offset is taken);
    `REMOVED` where only some of its answers are sound (those are kept); or one of `DROPPED`. A row to be
    dropped is yielded too, with "" and [] for what it lacks, so that callers can count. Of several sound rows
    with one id the first is kept. An article or paragraph that cannot be read at all is one row.

    Raises UserError, at the call and not at the first row, for a file that is not SQuAD.
    """
    return _rows(_articles(Path(path)))


def rows_of(squad: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The same rows from SQuAD JSON that is already parsed."""
    return _rows(squad["data"])


def summarise(problems: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Count rows by problem, from (id, problem) pairs.

    Returns `{"rows": int, "kept": int, "dropped": int, "problems": {name: {"count": int, "ids": [str]}}}`
    with the most frequent problem first and the first few ids of each; sound rows are in `kept` alone.
    """
    rows = dropped = 0
    found: dict[str, dict[str, Any]] = {}
    for identifier, problem in problems:
        rows += 1
        dropped += problem in DROPPED
        if problem:
            entry = found.setdefault(problem, {"count": 0, "ids": []})
            entry["count"] += 1
            if len(entry["ids"]) < _SHOWN_IDS:
                entry["ids"].append(identifier)
    ordered = dict(sorted(found.items(), key=lambda item: (-item[1]["count"], item[0])))
    return {"rows": rows, "kept": rows - dropped, "dropped": dropped, "problems": ordered}


def summary_line(summary: dict[str, Any]) -> str:
    """One printable line of what `summarise` returns: `7 questions, 6 kept, 1 dropped (1 no answers: q3)`."""
    line = f"{summary['rows']:,} questions, {summary['kept']:,} kept, {summary['dropped']:,} dropped"
    lost = [_name(problem, entry) for problem, entry in summary["problems"].items() if problem in DROPPED]
    mended = [_name(problem, entry) for problem, entry in summary["problems"].items() if problem not in DROPPED]
    return line + (f" ({'; '.join(lost)})" if lost else "") + (f"; mended: {'; '.join(mended)}" if mended else "")


def _name(problem: str, entry: dict[str, Any]) -> str:
    # An id comes from the file: one with line breaks, or of a page's length, must not spoil the line.
    ids = [(" ".join(identifier.split()) or "(no id)")[:40] for identifier in entry["ids"]]
    more = ", ..." if entry["count"] > len(ids) else ""
    return f"{entry['count']:,} {problem}: {', '.join(ids)}{more}"


def _articles(path: Path) -> list[Any]:
    """The list under "data"; raises UserError for a file that is not SQuAD."""
    raw = _bytes(path)
    if not raw.strip():
        raise UserError(f"{path} is empty; {_EXPECTED}")
    # utf-8-sig: a byte order mark is harmless; "surrogateescape": a wrong byte costs its own row, not the file.
    text = raw.decode("utf-8-sig", errors="surrogateescape")
    try:
        parsed = json.loads(text)
    except RecursionError:
        raise UserError(f"{path} holds JSON nested too deeply; {_EXPECTED}") from None
    except ValueError as error:  # JSONDecodeError, or an integer of thousands of digits
        raise UserError(f"{path} holds {_kind(raw, text)} ({error}); {_EXPECTED}") from None
    if not isinstance(parsed, dict):
        raise UserError(f"{path} holds a JSON {_json_type(parsed)}; {_EXPECTED}")
    if "data" not in parsed:
        keys = ", ".join(repr(key[:40]) for key in list(parsed)[:5]) or "none"
        raise UserError(f'{path} holds a JSON object without "data" (its keys: {keys}); {_EXPECTED}')
    articles = parsed["data"]
    if not isinstance(articles, list):
        raise UserError(f'{path} has a JSON {_json_type(articles)} under "data"; {_EXPECTED}')
    if not any(isinstance(article, dict) and "paragraphs" in article for article in articles):
        found = f'{len(articles):,} entries under "data" of which none has "paragraphs"' if articles else "no data"
        raise UserError(f"{path} has {found}; {_EXPECTED}")
    return articles


def _bytes(path: Path) -> bytes:
    """The file's bytes, unpacked; raises UserError for a file that cannot be read."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        names = [entry.name for entry in path.parent.glob("*")]
        near = difflib.get_close_matches(path.name, names, n=1)
        hint = f"; did you mean {path.with_name(near[0])}?" if near else ""
        raise UserError(f"{path} does not exist{hint}; {_EXPECTED}") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a folder; name the file in it; {_EXPECTED}") from None
    except (OSError, ValueError) as error:  # no permission, name too long; a NUL in the name
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path} cannot be read ({reason}); {_EXPECTED}") from None
    if not raw.startswith(b"\x1f\x8b"):
        return raw
    try:
        return gzip.decompress(raw)
    except (EOFError, OSError, zlib.error) as error:
        raise UserError(f"{path} is a damaged or truncated gzip file ({error}); {_EXPECTED}") from None


def _kind(raw: bytes, text: str) -> str:
    """What a file that is not JSON looks like, in a few words."""
    for magic, name in _ARCHIVES.items():
        if raw.startswith(magic):
            return f"a {name} archive, unpack it first"
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "UTF-16 text, save it as UTF-8"
    if b"\x00" in raw[:4096] or raw.startswith(b"\x1f\x8b"):
        return "binary data"
    first, _, rest = text.lstrip().partition("\n")
    if first.startswith("{") and first.rstrip().endswith("}") and rest.lstrip().startswith("{"):
        return "JSON lines"
    if first[:1] in "{[":
        return "invalid JSON"
    return "a table (CSV or TSV)" if "," in first or "\t" in first else "text that is not JSON"


def _json_type(value: Any) -> str:
    names = {dict: "object", list: "list", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")


def _rows(articles: list[Any]) -> Iterator[dict[str, Any]]:
    kept: set[str] = set()
    for article in articles:
        title, bad_title = _text(article, "title")
        paragraphs, problem = _list(article, "paragraphs")
        if problem:
            yield _row(title=title, problem=problem)
        for paragraph in paragraphs:
            context, bad_context = _text(paragraph, "context")
            questions, problem = _list(paragraph, "qas")
            if problem:
                yield _row(title=title, context=context, problem=problem)
            for entry in questions:
                row = _question(entry, title, context)
                row["problem"] = bad_title or bad_context or _empty("context", context) or row["problem"]
                if row["problem"] not in DROPPED:
                    if row["id"] in kept:
                        row["problem"] = "duplicate id"
                    kept.add(row["id"])
                yield row


def _question(entry: Any, title: str, context: str) -> dict[str, Any]:
    """The row of one entry of "qas", with the first problem of its own fields."""
    identifier, bad_id = _text(entry, "id")
    question, bad_question = _text(entry, "question")
    problem = bad_id or _empty("id", identifier) or bad_question or _empty("question", question)
    impossible = entry.get("is_impossible") if isinstance(entry, dict) else None
    if impossible is not None and not isinstance(impossible, bool):
        problem = problem or "wrong type"
    if impossible is True:  # SQuAD v2: its "answers" are empty, and its "plausible_answers" are no answers
        return _row(identifier, title, context, question, problem=problem or "unanswerable")
    texts, starts, bad_answers = _answers(entry, context)
    return _row(identifier, title, context, question, texts, starts, problem=problem or bad_answers)


def _answers(entry: Any, context: str) -> tuple[list[str], list[int], str]:
    """Texts and offsets of the sound answers, and the problem of the list as a whole."""
    answers, problem = _list(entry, "answers")
    if problem or not answers:
        return [], [], problem or "no answers"
    texts, starts, moved, faults = [], [], False, []
    for answer in answers:
        text, fault = _text(answer, "text")
        stated, bad_offset = _offset(answer)
        fault = fault or _empty("answer", text) or bad_offset
        start = -1 if fault else nearest_occurrence(context, text, stated)
        if start < 0:
            faults.append(fault or "answer not in context")
            continue
        texts.append(text)
        starts.append(start)
        moved = moved or start != stated
    if not texts:
        return [], [], faults[0]
    return texts, starts, REMOVED if faults else CORRECTED if moved else ""


def nearest_occurrence(context: str, text: str, start: int) -> int:
    """Offset at which `text` begins in `context` nearest to `start` (the earlier of two), or -1."""
    start = max(0, start)
    before = context.rfind(text, 0, start + len(text))
    after = context.find(text, start)
    if before < 0 or after < 0:
        return max(before, after)
    return before if start - before <= after - start else after


def _row(
    identifier: str = "",
    title: str = "",
    context: str = "",
    question: str = "",
    texts: list[str] | None = None,
    starts: list[int] | None = None,
    *,
    problem: str,
) -> dict[str, Any]:
    row = {"id": identifier, "title": title, "context": context, "question": question}
    return row | {"answers": {"text": texts or [], "answer_start": starts or []}, "problem": problem}


def _text(record: Any, name: str) -> tuple[str, str]:
    """(text, problem) of a field; lone surrogates become U+FFFD, so that any row can be printed and saved."""
    value, problem = _field(record, name, str)
    if problem:
        return "", problem
    if _BAD_CHARACTERS.search(value):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace"), "bad encoding"
    return value, ""


def _list(record: Any, name: str) -> tuple[list[Any], str]:
    value, problem = _field(record, name, list)
    return ([] if problem else value), problem


def _offset(answer: Any) -> tuple[int, str]:
    value, problem = _field(answer, "answer_start", int)
    problem = "wrong type" if isinstance(value, bool) else problem  # True is an int to Python
    return (-1 if problem else value), problem


def _field(record: Any, name: str, kind: type) -> tuple[Any, str]:
    if not isinstance(record, dict):
        return None, "wrong type"
    value = record.get(name)
    if value is None:
        return None, "missing field"
    return value, "" if isinstance(value, kind) else "wrong type"


def _empty(name: str, text: str) -> str:
    return "" if text.strip() else f"empty {name}"
