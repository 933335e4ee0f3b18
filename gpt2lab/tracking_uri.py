"""Which tracking URIs there are, and how one may be shown: without its credentials."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gpt2lab.errors import UserError

if TYPE_CHECKING:
    from gpt2lab.tracking import TrackingConfig

KINDS = ("mlflow", "none")
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
SCHEMES = (*DATABASES, "http", "https")
BARE_URIS = ("databricks", "databricks-uc", "uc")  # complete without a ://


def without_credentials(text: str) -> str:
    """`text` with `user:secret@` removed from each URI in it, and `password=` or `token=` queries masked."""
    text = re.sub(r"://[^\s\"']*@", "://", text)  # up to the last @: a secret may itself hold an @ or a /
    return re.sub(r"(?i)([?&;](?:password|passwd|pwd|token|secret|api_?key)=)[^&;\s\"']*", r"\1***", text)


def tracking_uri(config: TrackingConfig, outputs: Path) -> str | None:
    """The URI that MLflow is given, an SQLite path made absolute; None for `kind=none`.

    Raises:
        UserError: an unknown kind, an empty experiment name, or a URI that MLflow does not know.
    """
    if config.kind not in KINDS:
        raise UserError(f"tracking.kind: no tracker {config.kind!r}; {_nearest(config.kind, KINDS)}")
    if config.kind == "none":
        return None
    if not config.experiment.strip():
        raise UserError("tracking.experiment is empty: give the MLflow experiment a name")
    if config.uri is None:
        return f"sqlite:///{outputs.absolute() / 'mlflow.db'}"
    uri, shown = config.uri, without_credentials(config.uri)
    if "://" not in uri and uri not in BARE_URIS:
        raise UserError(
            f"tracking.uri: {shown!r} is no MLflow tracking URI; a file is sqlite:////absolute/path.db, "
            "a server http://host:5000"
        )
    scheme = uri.partition("://")[0].partition("+")[0]
    known = (*SCHEMES, *BARE_URIS, *(point.name for point in entry_points(group="mlflow.tracking_store")))
    if scheme not in known:
        raise UserError(f"tracking.uri: MLflow has no scheme {scheme!r} ({shown}); {_nearest(scheme, known)}")
    if scheme == "sqlite":
        # relative to here and now: MLflow would follow the working directory, call by call
        return f"sqlite:///{Path(uri.partition(':///')[2]).absolute()}"
    if scheme in ("http", "https") and not _has_host(uri):
        raise UserError(f"tracking.uri: {shown!r} has no valid host and port; a server is http://host:5000")
    return uri


def _has_host(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number; the message would quote a secret before it
        return False


def _nearest(word: str, known: Iterable[str]) -> str:
    names = sorted(set(known))
    close = difflib.get_close_matches(word, names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names)}"
