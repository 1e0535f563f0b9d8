"""Text from elsewhere, made harmless for a terminal: a refused message may hold anything."""

from rich.text import Text


def plain(text: str) -> Text:
    """Return text that rich prints as it is: no mark-up, and control characters as ``·``."""
    return Text("".join(character if character.isprintable() else "·" for character in text))
