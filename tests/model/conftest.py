"""A tiny GPT-2 checkpoint in the place of the bundled one, and an empty hub cache."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from gpt2lab.model import base
from gpt2lab.model.tokenizer import train_bpe

VOCABULARY = 260


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny GPT-2 with its LM head and its tokenizer, as stock transformers saves one."""
    folder = tmp_path_factory.mktemp("base") / "tiny"
    train_bpe(iter(["the seven old towns of the river"] * 9), VOCABULARY, folder)
    torch.manual_seed(3)
    numbers = {"n_layer": 2, "n_head": 2, "n_embd": 16, "n_positions": 32, "vocab_size": VOCABULARY}
    config = GPT2Config(**numbers, bos_token_id=0, eos_token_id=0, initializer_range=0.3)
    GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


@pytest.fixture
def nothing_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkpoint: Path) -> Path:
    """An empty hub cache, and the tiny checkpoint in the place of the bundled one."""
    cache = tmp_path / "cache"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(base, "MINI", checkpoint)
    return cache
