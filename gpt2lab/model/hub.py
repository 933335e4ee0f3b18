"""GPT-2 from the Hugging Face hub or its local cache: look, ask once and briefly, fetch. Never torch."""

from __future__ import annotations

import threading
from pathlib import Path

from gpt2lab.errors import UserError
from gpt2lab.model.tokenizer import is_tokenizer

# A cache filled by name alone ("gpt2") serves as well as one filled from the organisation's repository.
REPOSITORIES = {name: (f"openai-community/{name}", name) for name in ("gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl")}
TOKENIZER_FILES = ["tokenizer.json", "vocab.json", "merges.txt"]
# Exact names: "*.json" would also match the repository's onnx/ folder.
FILES = ["config.json", "model*.safetensors", "model.safetensors.index.json", *TOKENIZER_FILES]
SECONDS = 3.0  # one request's own limit; the thread around it bounds name resolution, which has none


def cached(name: str, revision: str | None, *, weights: bool = True) -> Path | None:
    """The cached snapshot folder of `name` if it is whole, else None; touches no network.

    Whole: config.json, *.safetensors and a tokenizer; with `weights=False` a tokenizer is enough.
    """
    from huggingface_hub import try_to_load_from_cache

    # not snapshot_download(local_files_only=True): that refuses what from_pretrained has cached file by file
    for repository in REPOSITORIES[name]:
        for file in ["config.json"] if weights else TOKENIZER_FILES:
            found = try_to_load_from_cache(repository, file, revision=revision)
            if isinstance(found, str) and _whole(Path(found).parent, weights):
                return Path(found).parent
    return None


def probe(name: str, revision: str | None = None) -> str:
    """One HEAD request for config.json: "" if the hub has it, else in a few words why not.

    Returns within about 4 s whatever the network does; honours HF_HUB_OFFLINE and HF_ENDPOINT.
    """
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    endpoint = constants.ENDPOINT
    url = hf_hub_url(REPOSITORIES[name][0], "config.json", revision=revision)
    answer = [f"no answer from {endpoint} within {SECONDS + 1:.0f} s"]

    def ask() -> None:
        try:
            get_hf_file_metadata(url, timeout=SECONDS)
            answer[0] = ""
        except HfHubHTTPError as error:
            answer[0] = f"{endpoint} answered {error.response.status_code} for {_title(name, revision)}"
        except Exception as error:  # no route, no name, no TLS: all mean "away", and the reason is passed on
            answer[0] = f"{endpoint} cannot be reached ({type(error).__name__})"

    thread = threading.Thread(target=ask, daemon=True, name="hub-probe")
    thread.start()
    thread.join(SECONDS + 1)
    return answer[0]


def fetch(name: str, revision: str | None, *, weights: bool = True) -> Path:
    """Download `name` (safetensors, config, tokenizer; nothing else) into the cache; its snapshot folder.

    The folder's name is the commit hash. Call it after `probe` returned "".

    Raises:
        UserError: the download failed, or the repository has no safetensors or no tokenizer.
    """
    from huggingface_hub import snapshot_download

    try:
        folder = Path(
            snapshot_download(
                REPOSITORIES[name][0], revision=revision, etag_timeout=SECONDS,
                allow_patterns=FILES if weights else TOKENIZER_FILES,
            )
        )  # fmt: skip
    except Exception as error:  # http, disk, cache: many unrelated classes, one meaning here
        reason = (str(error).splitlines() or [""])[0]
        raise UserError(
            f"model={name}: the download of {_title(name, revision)} failed ({type(error).__name__}: "
            f"{reason}); run it again to resume, or give a local folder with model.path=..."
        ) from error
    if not _whole(folder, weights):
        raise UserError(f"model={name}: {_title(name, revision)} has no safetensors weights or no tokenizer")
    return folder


def _title(name: str, revision: str | None) -> str:
    return f"{REPOSITORIES[name][0]}@{revision or 'main'}"


def _whole(folder: Path, weights: bool) -> bool:
    if not is_tokenizer(folder):
        return False
    return not weights or ((folder / "config.json").is_file() and any(folder.glob("*.safetensors")))
