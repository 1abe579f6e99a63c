"""`genreplay ui`: MLflow's own pages on a store."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from genreplay.common.errors import UserError
from genreplay.runs import store


def serve(uri: str, port: int) -> NoReturn:
    """Become MLflow's server of the store `uri`, on this machine only.

    Raises:
        UserError: the store is a server itself, or has no run yet.
    """
    root = store.local_root(uri)
    if root is None and uri.startswith("http"):
        raise UserError(f"ui: {uri} is an MLflow server with a UI of its own; open it in the browser")
    if store.is_new(uri):
        raise UserError(f"ui: there is no run in {uri} yet; begin one with: genreplay fit --config FILE")
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", uri]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    if root is not None:
        command += ["--default-artifact-root", (root / "artifacts").resolve().as_uri()]
    print(f"MLflow shows {uri} at http://127.0.0.1:{port} (Ctrl-C ends it)", file=sys.stderr, flush=True)
    os.execv(command[0], command)
