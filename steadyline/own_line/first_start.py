"""What a line makes once, at its first start; a start that is cut off leaves nothing that stops the next."""

import os
import shutil
import threading
from collections.abc import Mapping

from steadyline.own_line.folders import LineFolders
from steadyline.own_line.services import NoFirstToken, first_token
from steadyline.replace_file import replace_file
from steadyline.service import EXIT_USAGE
from steadyline.signing import PRIVATE, write_pair


def make_keys(folders: LineFolders) -> None:
    """Make the pair of keys by which the line knows its trainer, unless it is there: both keys or none."""
    if (folders.keys / PRIVATE).exists():
        return
    draft = folders.keys.with_name(f".{folders.keys.name}.partial")
    shutil.rmtree(draft, ignore_errors=True)
    write_pair(draft)
    os.replace(draft, folders.keys)


def make_token(folders: LineFolders, environment: Mapping[str, str], stop: threading.Event) -> None:
    """Make the first token of the API and keep it beside the line, readable by its owner alone.

    A database that is there may have none, where the start that made it was cut off. Where it has tokens a
    person has taken the file away, and nothing is made. Raises NoFirstToken, but not for what the signal
    broke off that has set ``stop``.
    """
    if folders.token.exists():
        return
    is_new = not folders.database.exists()
    try:
        token = first_token(environment)
    except NoFirstToken as error:
        if stop.is_set() or (error.status == EXIT_USAGE and not is_new):
            return
        raise
    replace_file(folders.token, f"{token}\n".encode(), mode=0o600)
