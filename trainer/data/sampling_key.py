"""The secret by which a trainer ranks the frames of the stream; it never leaves the trainer's own folder."""

import secrets
from pathlib import Path

from steadyline.errors import InvalidConfiguration
from steadyline.replace_file import replace_file

NAME = "sampling.key"
SIZE = 32


def sampling_key(work: Path) -> bytes:
    """Return the key that is kept in the trainer's work folder, which the caller holds; make it at first.

    A trainer with another folder has another key, and draws another sample of the same stream that is as
    good. Raises InvalidConfiguration when the file cannot be used.
    """
    path = work / NAME
    try:
        if not path.exists():
            replace_file(path, secrets.token_hex(SIZE).encode(), sync=True, mode=0o600)
        key = bytes.fromhex(path.read_text("ascii"))
    except (OSError, ValueError) as error:
        raise InvalidConfiguration(
            f"{path} cannot be used: {error}; remove it, and a new key is made"
        ) from error
    if len(key) != SIZE:
        raise InvalidConfiguration(f"{path} holds no key of {SIZE} bytes; remove it for a new one")
    return key
