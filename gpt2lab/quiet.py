"""Libraries that print what concerns nobody, told not to."""

from __future__ import annotations

import warnings


def transformers() -> None:
    """Import transformers so that it prints only errors, and no bar for loading from a local disk."""
    from transformers.utils import logging

    # PEFT asks for an attribute that transformers has renamed
    warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
    logging.set_verbosity_error()
    logging.disable_progress_bar()


def datasets() -> None:
    """No progress bars and no informational lines of `datasets`."""
    import datasets as library

    library.disable_progress_bars()
    library.logging.set_verbosity_error()
