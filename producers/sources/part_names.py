"""How the names of a camera's files name the parts that they show."""

import re
from dataclasses import dataclass

from steadyline.part_pattern import part_of


@dataclass(frozen=True, slots=True)
class PartNames:
    """``pattern`` is that of the line file, checked; without one no file names a part."""

    pattern: re.Pattern[str] | None = None

    @staticmethod
    def parse(text: str | None) -> "PartNames":
        """Return the names that ``text`` finds, or none without it."""
        return PartNames(None if text is None else re.compile(text))

    def of(self, name: str) -> str | None:
        """Return the part of a file of this name, without its folders; None where it names none."""
        return None if self.pattern is None else part_of(self.pattern, name)


NO_PARTS = PartNames()
