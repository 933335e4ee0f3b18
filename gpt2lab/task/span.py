"""The span objective: a start and an end logit for each token of the context (Devlin et al. 2019, section 4.2).

A window is `question "\\n" context-part "\\n"`. GPT-2 reads left to right, so the question stands first. Only
context tokens and the first separator can be chosen; the separator means "the answer is not in this window".
Pads stand on the right, where a causal model's real tokens cannot see them, so no attention mask is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F

from gpt2lab.task.base import Batch, pad

N_BEST = 5  # spans kept for each window


def windows(
    question: list[int], context: list[int], separator: list[int], max_length: int, stride: int
) -> list[tuple[int, int]]:
    """Context token ranges [start, end) of a question's windows: each fits `max_length`, neighbours share `stride`.

    No more than half a window is shared, so that a stride near `max_length` does not make a window of each token.
    """
    room = max_length - len(question) - 2 * len(separator)
    if room <= 0:
        return []
    step = room - min(stride, room // 2)
    ranges, start = [], 0
    while True:
        ranges.append((start, min(start + room, len(context))))
        if start + room >= len(context):
            return ranges
        start += step


def around(label: tuple[int, int], room: int, length: int) -> tuple[int, int]:
    """The range of `room` of a context's `length` tokens with the label's first and last token in its middle."""
    start = max(0, min((label[0] + label[1] + 1 - room) // 2, length - room))
    return start, min(start + room, length)


def token_span(offsets: Sequence[tuple[int, int]], begin: int, end: int) -> tuple[int, int] | None:
    """First and last token that overlap the characters [begin, end), or None if none does."""
    inside = [i for i, (a, b) in enumerate(offsets) if a < end and b > begin]
    return (inside[0], inside[-1]) if inside else None


def collate(rows: Sequence[dict]) -> Batch:
    """Windows to tensors: input_ids (B, T), first and last choosable position, start and end labels (B,)."""
    batch = {"input_ids": pad([r["input_ids"] for r in rows], 0)}
    for key in ("null", "first", "last", "start", "end"):
        batch[key] = torch.tensor([r[key] for r in rows])
    return batch


def _log_probs(model: torch.nn.Module, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities of start and end over the positions that can be chosen.  -> (B, T), (B, T)"""
    out = model(input_ids=batch["input_ids"])
    position = torch.arange(batch["input_ids"].shape[1], device=batch["input_ids"].device)[None]  # (1, T)
    allowed = (position >= batch["first"][:, None]) & (position <= batch["last"][:, None])  # (B, T)
    allowed |= position == batch["null"][:, None]
    logits = torch.stack([out.start_logits, out.end_logits]).float()  # (2, B, T)
    start, end = logits.masked_fill(~allowed, float("-inf")).log_softmax(-1)
    return start, end


def _nll(start: torch.Tensor, end: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Sum over windows of the mean cross-entropy of start and end.  -> ()"""
    return (F.nll_loss(start, batch["start"], reduction="sum") + F.nll_loss(end, batch["end"], reduction="sum")) / 2


def loss(model: torch.nn.Module, batch: Batch) -> torch.Tensor:
    """Sum over windows of the mean cross-entropy of start and end.  -> ()"""
    return _nll(*_log_probs(model, batch), batch)


def items(batch: Batch) -> int:
    """Supervised items of a batch: its windows."""
    return len(batch["start"])


def best_spans(
    start: torch.Tensor, end: torch.Tensor, first: torch.Tensor, max_tokens: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The best N_BEST pairs start <= end < start + max_tokens by summed log-probability.

    start, end (B, T) with -inf where not allowed; positions before `first` (B,) are not answers.
    -> scores (B, N), starts (B, N), ends (B, N); missing pairs score -inf.
    """
    width = start.shape[1]
    length = min(max_tokens, width)
    position = torch.arange(width, device=start.device)
    start = start.masked_fill(position[None] < first[:, None], float("-inf"))
    ahead = F.pad(end, (0, length - 1), value=float("-inf")).unfold(1, length, 1)  # (B, T, L)
    pairs = (start[:, :, None] + ahead).flatten(1)  # (B, T * L)
    scores, index = pairs.topk(min(N_BEST, pairs.shape[1]), dim=1)
    starts = index // length
    return scores, starts, starts + index % length


def answer(model: torch.nn.Module, batch: Batch, max_tokens: int) -> tuple[list[Any], float]:
    """For each window its best spans as (log-probability, first token, last token); and the summed loss."""
    start, end = _log_probs(model, batch)
    scores, starts, ends = (t.tolist() for t in best_spans(start, end, batch["first"], max_tokens))
    spans = [[(s, a, b) for s, a, b in zip(*row, strict=True) if s > float("-inf")]
             for row in zip(scores, starts, ends, strict=True)]  # fmt: skip
    return spans, _nll(start, end, batch).item()


def gather(answers: Sequence[Any], features: Any, examples: Any) -> dict[str, list[dict[str, Any]]]:
    """Merge windows: by example id the best spans over all of them, best first, as text with score and place."""
    best: dict[int, list[tuple[float, int, int]]] = {}
    rows = features.select_columns(["example", "first", "char_start", "char_end"])  # read a few at a time
    for spans, row in zip(answers, rows, strict=True):
        for score, a, b in spans:
            place = row["char_start"][a - row["first"]], row["char_end"][b - row["first"]]
            best.setdefault(row["example"], []).append((score, *place))
    ids, contexts = examples["id"], examples["context"]
    out: dict[str, list[dict[str, Any]]] = {}
    for i, name in enumerate(ids):
        unique: dict[tuple[int, int], float] = {}
        for score, a, b in sorted(best.get(i, []), reverse=True):
            unique.setdefault((a, b), score)
        out[name] = [{"text": contexts[i][a:b], "score": s, "start": a} for (a, b), s in list(unique.items())[:N_BEST]]
    return out
