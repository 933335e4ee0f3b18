"""A dataset of the Hugging Face hub: from the local cache, or fetched after one bounded probe."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from gpt2lab import quiet

SECONDS = 4.0  # patience of the one probe


def load(name: str, revision: str | None) -> tuple[tuple[Any, str] | None, str]:
    """((dataset dict, resolved revision), "") or (None, why not); returns within seconds with the hub away.

    The parquet files of the repository are read (no remote code), cached by `huggingface_hub`, mapped by `datasets`.
    """
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    quiet.datasets()
    reason = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else _away(name, revision)
    try:
        folder = Path(snapshot_download(name, repo_type="dataset", revision=revision, allow_patterns="*.parquet",
                                        local_files_only=bool(reason), etag_timeout=SECONDS))  # fmt: skip
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, HfHubHTTPError, OSError) as error:
        return None, reason or f"{type(error).__name__}"
    files = {split: sorted(map(str, folder.rglob(f"{split}-*.parquet"))) for split in ("train", "validation")}
    if not all(files.values()):
        return None, f"{folder} holds no parquet files of train and validation"
    from datasets import load_dataset

    return (load_dataset("parquet", data_files=files), folder.name), ""


def _away(name: str, revision: str | None) -> str:
    """ "" if the hub answers for this dataset, else in a few words why not."""
    from huggingface_hub import HfApi

    answer = [f"no answer within {SECONDS:.0f} s"]

    def ask() -> None:
        try:
            HfApi().dataset_info(name, revision=revision, timeout=SECONDS)
            answer[0] = ""
        except Exception as error:  # no route, no name, no such dataset: the reason is passed on
            answer[0] = f"{type(error).__name__}"

    thread = threading.Thread(target=ask, daemon=True, name="hub-probe")
    thread.start()
    thread.join(SECONDS)
    return answer[0]
