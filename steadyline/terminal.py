"""Text on a terminal, printed as it is: a message from elsewhere, or a path, may hold anything."""

from typing import Any

from rich.console import Console
from rich.text import Text
from typing_extensions import override


class PlainConsole(Console):
    """A console on which no string is mark-up: ``[x]`` is printed as ``[x]``, a control character as ``·``.

    The strings of tables and titles are printed alike. What is to have a colour is given as ``styled`` text.
    """

    @override
    def render_str(self, text: str, **options: Any) -> Text:
        """Return the text that is printed for a string; rich calls it for every string it is given."""
        harmless = {"markup": False, "emoji": False, "highlight": False}
        return super().render_str(visible(text), **{**options, **harmless})


StyledText = Text  # what ``styled`` returns


def styled(*parts: str | tuple[str, str]) -> Text:
    """Return one line of text; a part is a string, or a string and its style, ``("failed", "bold red")``."""
    pairs = [(part, "") if isinstance(part, str) else part for part in parts]
    return Text.assemble(*((visible(text), style) for text, style in pairs))


def visible(text: str) -> str:
    """Return text of one line with each character that has no picture (escape, line feed, …) as ``·``."""
    return "".join(character if character.isprintable() else "·" for character in text)
