"""Who made an image: an HMAC with a key of this user, after Jupyter's notebook trust."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from aotnb.errors import AotError


def key_path() -> Path:
    """Return where the key of this user lies: ``$AOTNB_HOME``, else the user's data folder."""
    if home := os.environ.get("AOTNB_HOME"):
        return Path(home) / "image.key"
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "aotnb" / "image.key"


def user_key() -> bytes:
    """Return this user's key; make it (file mode 0600) the first time."""
    path = key_path()
    try:
        with contextlib.suppress(FileNotFoundError):
            return _read(path)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(32))
        try:
            os.link(temporary, path)  # fails where another process was first: then its key counts
        except FileExistsError:
            pass
        finally:
            os.unlink(temporary)
        return _read(path)
    except OSError as error:
        raise AotError(
            f"cannot read or make the key {path}: {error.strerror or error}; set AOTNB_HOME to a folder that can be written to"
        ) from None


def _read(path: Path) -> bytes:
    key = path.read_bytes()
    if len(key) != 32:
        raise AotError(f"the key {path} is damaged; remove it, and save or trust your images again")
    return key
