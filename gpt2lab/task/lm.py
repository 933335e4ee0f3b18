"""The language-modelling objective: next-token cross-entropy over real tokens."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from gpt2lab.task.base import Batch, pad

IGNORE = -100


def collate(rows: Sequence[dict]) -> Batch:
    """Blocks to tensors: input_ids (B, T) and labels (B, T), pads and unsupervised positions at -100."""
    return {
        "input_ids": pad([r["input_ids"] for r in rows], 0),
        "labels": pad([[IGNORE] * r["skip"] + list(r["input_ids"][r["skip"] :]) for r in rows], IGNORE),
    }


def token_losses(model: torch.nn.Module, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy of each next token, 0 where unsupervised, and which are supervised.  -> (B, T-1), (B, T-1)"""
    logits = model(input_ids=batch["input_ids"]).logits[:, :-1].float()  # (B, T-1, V)
    targets = batch["labels"][:, 1:]  # (B, T-1)
    losses = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORE, reduction="none")
    return losses.view_as(targets), targets != IGNORE


def loss(model: torch.nn.Module, batch: Batch) -> torch.Tensor:
    """Sum of next-token cross-entropy in nats.  -> ()"""
    return token_losses(model, batch)[0].sum()


def items(batch: Batch) -> int:
    """Supervised tokens of a batch."""
    return int((batch["labels"][:, 1:] != IGNORE).sum())


def answer(model: torch.nn.Module, batch: Batch) -> tuple[list[tuple[float, int]], float]:
    """For each block its summed loss in nats and supervised tokens; the batch's summed loss."""
    losses, supervised = token_losses(model, batch)
    blocks = list(zip(losses.sum(1).tolist(), supervised.sum(1).tolist(), strict=True))
    return blocks, sum(b[0] for b in blocks)
