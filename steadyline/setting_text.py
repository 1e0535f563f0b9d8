"""Settings and files as people write them: with quotes, marks, other encodings, and what to do about each.

No message repeats a value or a path, because either may be a secret that was put into the wrong variable.
"""

import codecs
from pathlib import Path

from steadyline.errors import InvalidConfiguration

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_QUOTES = ('"', "'", "`", "“", "”", "‘", "’", "«")


def check_written(name: str, value: str) -> None:
    """Raise InvalidConfiguration when the value of a variable holds what a shell or an editor has left in."""
    value = _one_line(value)
    if value != value.strip() or not value.isprintable():
        raise InvalidConfiguration(
            f"{name} holds a space at an end, a line end, or another character that cannot be seen: "
            "write it again, without them"
        )
    if len(value) > 1 and value[0] in _QUOTES and value[-1] in _QUOTES:
        raise InvalidConfiguration(
            f"{name} has quotes around it that are part of the value: take them away, or give the value as "
            f"{name}_FILE if they belong to it"
        )


def read_text_file(path: Path, name: str) -> str:
    """Return the text of a file in UTF-8, without a byte-order mark; ``name`` is for messages.

    Raises InvalidConfiguration when it cannot be read, or is no text in UTF-8.
    """
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        told = getattr(error, "strerror", None) or "it is no path"
        raise InvalidConfiguration(f"{name} cannot be read: {told}") from None
    if data.startswith(_UTF_16) or b"\0" in data:
        raise InvalidConfiguration(f"{name} is no text in UTF-8, perhaps UTF-16: save it as UTF-8")
    try:
        return data.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidConfiguration(f"{name} is no UTF-8 in line {line}: save it as UTF-8") from None


def read_value_file(path: str, name: str) -> str:
    """Return the value that a file holds: one line, or keys as PEM; raises InvalidConfiguration."""
    value = read_text_file(Path(path), f"the file of {name}_FILE").rstrip("\r\n")
    if not _one_line(value).isprintable():
        raise InvalidConfiguration(
            f"the file of {name}_FILE holds more than one line, or a character that cannot be seen"
        )
    return value


def _one_line(value: str) -> str:
    """Return a value without the line ends that belong to it: those of keys as PEM."""
    if not value.startswith("-----BEGIN "):
        return value
    return "".join(value.splitlines())
