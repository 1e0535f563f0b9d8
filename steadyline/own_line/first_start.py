"""What a line makes once, at its first start; a start that is cut off leaves nothing that stops the next."""

import os
import shutil
import threading
from collections.abc import Mapping

from steadyline.errors import InvalidConfiguration
from steadyline.own_line.folders import LineFolders
from steadyline.own_line.services import NoFirstToken, first_token
from steadyline.replace_file import replace_file
from steadyline.service import EXIT_USAGE
from steadyline.signing import PRIVATE, PUBLIC, write_pair


def make_keys(folders: LineFolders) -> None:
    """Make the pair of keys by which the line knows its trainer, unless it is there: both keys or none.

    Raises InvalidConfiguration when one of them is missing, or something else lies there.
    """
    if folders.keys.is_dir() and any(folders.keys.iterdir()):
        for name in (PRIVATE, PUBLIC):
            if not (folders.keys / name).is_file():
                raise InvalidConfiguration(
                    f"{folders.keys / name} is missing: put it back; or remove {folders.keys}, and the line "
                    "makes a new pair and no longer knows the models that were announced before"
                )
        return
    draft = folders.keys.with_name(f".{folders.keys.name}.partial")
    shutil.rmtree(draft, ignore_errors=True)
    write_pair(draft)
    os.replace(draft, folders.keys)


def make_token(folders: LineFolders, environment: Mapping[str, str], stop: threading.Event) -> str | None:
    """Make the first token of the API and keep it beside the line, readable by its owner alone.

    A database that is there may have none, where the start that made it was cut off. Where it has tokens and
    the file is gone, because a person took it away or a start was killed between the two, nothing is made,
    and what to do is returned. Raises NoFirstToken, but not for what the signal broke off that has set
    ``stop``.
    """
    if folders.token.exists():
        return None
    is_new = not folders.database.exists()
    try:
        token = first_token(environment)
    except NoFirstToken as error:
        if stop.is_set():
            return None
        if error.status == EXIT_USAGE and not is_new:
            return (
                f"the alerts have tokens, and {folders.token} is gone: put it back; where nobody has a "
                f"token, remove {folders.database.parent}, and the line makes a new database"
            )
        raise
    replace_file(folders.token, f"{token}\n".encode(), mode=0o600)
    return None
