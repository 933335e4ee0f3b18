"""The base model of a run: which one it is (`resolve`, without torch) and a fresh copy of it (`load`)."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpt2lab import quiet
from gpt2lab.errors import UserError
from gpt2lab.model import hub
from gpt2lab.model.folder import check_checkpoint, folder_id, read_model
from gpt2lab.model.tokenizer import fingerprint, is_tokenizer, load_tokenizer
from gpt2lab.schema import Fallback, knob

if TYPE_CHECKING:
    from transformers import GPT2Config, PreTrainedModel, PreTrainedTokenizerFast

MINI = Path(__file__).parent / "mini"
NAMES = ("auto", "mini", *hub.REPOSITORIES)
NUMBERS = ("n_layer", "n_head", "n_embd", "n_positions")


class Init(Enum):
    """Where the weights come from."""

    pretrained = "pretrained"
    random = "random"


@dataclass
class ModelConfig:
    """The base model: `conf/model/*.yaml`."""

    name: str = "auto"
    """auto (gpt2 where cached or reachable, else mini), mini (bundled), gpt2, gpt2-medium, -large, -xl"""
    init: Init = Init.pretrained
    """pretrained weights, or the same architecture with random ones (seeded by the run's seed)"""
    path: str | None = knob(exists=True, default=None)
    """a folder with a GPT-2 checkpoint in safetensors; wins over `name`"""
    revision: str | None = None
    """branch, tag or commit on the hub; null: main"""
    tokenizer: str | None = knob(exists=True, default=None)
    """a folder with tokenizer.json, or vocab.json and merges.txt; null: the base's own"""
    fallback: Fallback = Fallback.allow
    """whether `auto` may stand in the bundled mini for gpt2, or that is an error"""
    n_layer: int | None = knob(ge=1, default=None)
    """transformer blocks, for random weights; null: the folder's config.json, else GPT-2 124M's 12"""
    n_head: int | None = knob(ge=1, default=None)
    """attention heads a block, for random weights; divides n_embd; null as above (12)"""
    n_embd: int | None = knob(ge=1, default=None)
    """width of the residual stream, for random weights; null as above (768)"""
    n_positions: int | None = knob(ge=1, default=None)
    """longest input in tokens, for random weights; null as above (1024)"""
    dropout: float = knob(ge=0, lt=1, default=0.0)
    """probability in [0, 1) of GPT-2's own dropouts: embedding, attention, residual"""


@dataclass(frozen=True)
class Base:
    """A base model that was found: everything that determines it, nothing loaded yet."""

    kind: str
    """bundled, path, hub or random"""
    name: str
    """mini, gpt2..., or the name of the folder `model.path`"""
    folder: Path | None
    """holds config.json (and the weights, unless random); None: random weights from the config's numbers"""
    revision: str | None
    """the hub's commit hash; None for all but hub"""
    tokenizer: Path
    """a folder that `load_tokenizer` reads"""
    tokenizer_id: str
    """sha256 of the tokenizer's files"""
    weights_id: str
    """what the weights are: the hub's commit, or sha256 of the folder's files; empty for random:gpt2..."""
    label: str
    """as in metrics.json: mini, hub:gpt2@<revision>, path:<name>, random:gpt2"""
    note: str
    """one line to announce where a substitute was made, else \"\""""


def resolve(config: ModelConfig, *, probe: Callable[[str, str | None], str] = hub.probe) -> Base:
    """Which base `config` means on this machine, now. Imports no torch; downloads gpt2 where it is due.

    `probe(name, revision)` says "" if the hub answers, else why not. With the hub away this takes about 4 s
    at most, and nothing is asked of the network where the base is cached, bundled or a folder.

    Raises:
        UserError: an unknown name, a folder that is no GPT-2 checkpoint, a base that is neither cached nor
            reachable, a number or revision that the chosen base does not use.
    """
    _check_values(config)
    if config.path is not None:
        folder = Path(config.path).expanduser()
        return _from_folder(config, folder, "path", folder.resolve().name)
    if config.name == "mini":
        return _from_folder(config, MINI, "bundled", "mini")
    return _gpt2(config, probe)


def _gpt2(config: ModelConfig, probe: Callable[[str, str | None], str]) -> Base:
    auto, random = config.name == "auto", config.init is Init.random
    name = "gpt2" if auto else config.name
    if random and config.tokenizer is not None:
        return _base(config, "random", name, None, None)
    folder, away = hub.cached(name, config.revision, weights=not random), ""
    if folder is None and random:  # the four sizes share one vocabulary
        folder = next(filter(None, (hub.cached(other, None, weights=False) for other in hub.REPOSITORIES)), None)
    if folder is None:
        away = probe(name, config.revision)
    if folder is None and not away:
        try:
            folder = hub.fetch(name, config.revision, weights=not random)
        except UserError as error:
            if not auto:
                raise
            away = str(error)
    if folder is not None:
        if random:
            return _base(config, "random", name, None, folder)
        return _from_folder(config, folder, "hub", name)
    if auto and config.fallback is Fallback.allow:
        note = (
            f"model=auto: gpt2 is neither cached nor reachable ({away}), using the bundled mini; "
            "its scores are not GPT-2's"
        )
        return _from_folder(config, MINI, "bundled", "mini", note)
    if random:
        raise UserError(
            f"model={config.name} model.init=random: GPT-2's vocabulary is neither cached nor reachable "
            f"({away}); give model.tokenizer=<folder with tokenizer.json, or vocab.json and merges.txt>, "
            "or use model=mini"
        )
    raise UserError(
        f"model={config.name}: {name} is neither cached nor reachable ({away}); give model.path=<folder>, "
        "or use model=mini, or model.init=random model.tokenizer=<folder>"
    )


def _from_folder(config: ModelConfig, folder: Path, kind: str, name: str, note: str = "") -> Base:
    random = config.init is Init.random
    title = f"model.path={folder}" if kind == "path" else f"model {name} in {folder}"
    architecture = check_checkpoint(folder, title, weights=not random)
    if kind == "path" or not random:
        _check_numbers(config, folder, architecture)
    if config.revision is not None and kind != "hub" and not note:
        raise UserError(f"model.revision={config.revision} is for a hub model; {name} is a folder on this machine")
    return _base(config, "random" if random else kind, name, folder, folder, note)


def _base(config: ModelConfig, kind: str, name: str, folder: Path | None, own: Path | None, note: str = "") -> Base:
    """`own` is the folder whose tokenizer serves where the config names none."""
    tokenizer = own if config.tokenizer is None else Path(config.tokenizer).expanduser()
    assert tokenizer is not None  # _gpt2 leaves `own` out only where config.tokenizer is given
    if config.tokenizer is None and not is_tokenizer(tokenizer):
        raise UserError(
            f"model {tokenizer} holds no tokenizer (tokenizer.json, or vocab.json and merges.txt); "
            "give model.tokenizer=<folder>"
        )
    revision = folder.name if kind == "hub" and folder is not None else None
    identity = revision or ("" if folder is None else folder_id(folder, weights=kind != "random"))
    label = {"hub": f"hub:{name}@{revision}", "bundled": name}.get(kind, f"{kind}:{name}")
    return Base(kind, name, folder, revision, tokenizer, fingerprint(tokenizer), identity, label, note)


def _check_values(config: ModelConfig) -> None:
    if config.name not in NAMES:
        near = difflib.get_close_matches(config.name, NAMES, n=1)
        hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(NAMES)}"
        raise UserError(f"model.name={config.name} is unknown: {hint}")
    if not 0 <= config.dropout < 1:
        raise UserError(f"dropout={config.dropout}: a probability in [0, 1)")
    for key in NUMBERS:
        value = getattr(config, key)
        if value is not None and value < 1:
            raise UserError(f"model.{key}={value}: at least 1")


def _check_numbers(config: ModelConfig, folder: Path, architecture: dict[str, Any]) -> None:
    """The config's numbers are for random weights; elsewhere a wrong one would be ignored in silence."""
    for key in NUMBERS:
        asked, there = getattr(config, key), architecture.get(key)
        if asked is not None and there is not None and asked != there:
            raise UserError(
                f"model.{key}={asked}, but {folder} has {key}={there}; a folder's own numbers hold: "
                f"drop model.{key} (model=auto sets none)"
            )


def load(base: Base, config: ModelConfig, objective: str, seed: int, *, num_labels: int = 2) -> PreTrainedModel:
    """A fresh fp32 GPT-2 on the CPU in eval mode, its projections `linear.Linear`; prints nothing.

    `objective` is "span" (GPT2ForQuestionAnswering: logits (B, T) for start and for end), "lm"
    (GPT2LMHeadModel: (B, T, vocabulary)) or "classify" (GPT2ForSequenceClassification: (B, num_labels)).
    Weights that no checkpoint gives (a new head, or all of them) depend on `seed` alone; the global random
    state is left as it was. Nothing is shared between two calls.

    Raises:
        UserError: weights that do not fit the architecture, the objective or the tokenizer.
    """
    quiet.transformers()
    import torch

    from gpt2lab.model import linear

    tokenizer = load_tokenizer(base.tokenizer)
    kind = _class(objective)
    architecture = _architecture(base, config, tokenizer)
    architecture.num_labels = num_labels if objective == "classify" else 2
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # not torch.manual_seed: that would reseed a GPU too
        if base.kind == "random" or base.folder is None:
            model = kind(architecture)
        else:
            model = read_model(base.folder, kind, architecture, base.label)
    _fuse_gelu(model)
    linear.convert(model)
    return model.eval()


def skeleton(base: Base, config: ModelConfig, objective: str) -> PreTrainedModel:
    """The model `load` would give, on the meta device: names and shapes without weights, in milliseconds."""
    quiet.transformers()
    import torch

    from gpt2lab.model import linear

    architecture = _architecture(base, config, load_tokenizer(base.tokenizer))
    with torch.device("meta"):
        model = _class(objective)(architecture)
        linear.convert(model)
    return model


def _class(objective: str) -> Any:
    """transformers' GPT-2 with the head that `objective` needs."""
    import transformers

    return {
        "span": transformers.GPT2ForQuestionAnswering,
        "lm": transformers.GPT2LMHeadModel,
        "classify": transformers.GPT2ForSequenceClassification,
    }[objective]


def _architecture(base: Base, config: ModelConfig, tokenizer: PreTrainedTokenizerFast) -> GPT2Config:
    import torch
    from transformers import GPT2Config

    architecture = GPT2Config() if base.folder is None else GPT2Config.from_pretrained(base.folder)
    if base.kind == "random":
        for key in NUMBERS:
            if getattr(config, key) is not None:
                setattr(architecture, key, getattr(config, key))
        if architecture.n_embd % architecture.n_head:
            raise UserError(f"model.n_head={architecture.n_head} does not divide n_embd={architecture.n_embd}")
        architecture.vocab_size = len(tokenizer)
    elif len(tokenizer) > architecture.vocab_size:
        raise UserError(
            f"tokenizer {base.tokenizer} has {len(tokenizer)} tokens, {base.label} knows "
            f"{architecture.vocab_size}; drop model.tokenizer to use the base's own"
        )
    architecture.dtype = torch.float32  # half precision on disk is cast up: adapters and optimisers want fp32
    architecture.resid_pdrop = architecture.embd_pdrop = architecture.attn_pdrop = config.dropout
    architecture.bos_token_id = architecture.eos_token_id = tokenizer.eos_token_id
    architecture.pad_token_id = tokenizer.pad_token_id
    return architecture


def _fuse_gelu(model: PreTrainedModel) -> None:
    """Compute "gelu_new" by torch's fused kernel: the same formula, faster; config unchanged."""
    from torch import nn
    from transformers.activations import NewGELUActivation

    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, NewGELUActivation):
                setattr(module, name, nn.GELU(approximate="tanh"))
