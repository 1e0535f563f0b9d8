"""Parse numbers of a profile as a person types them: ``schedule.epsilon=0.02``, ``fusion=sum``."""

import json
from collections.abc import Sequence

from steadyline.errors import InvalidConfiguration


def overrides_of(typed: Sequence[str]) -> dict[str, float | int | str | bool]:
    """Return values by name; a value that is no JSON number, true or false is taken as a word.

    Raises InvalidConfiguration for a text that is not NAME=VALUE.
    """
    found: dict[str, float | int | str | bool] = {}
    for text in typed:
        name, equals, value = text.partition("=")
        if not name or not equals or not value:
            raise InvalidConfiguration(
                f"--set {text!r}: NAME=VALUE is due, robust.schedule.batch=16 for example"
            )
        found[name] = _value(value)
    return found


def _value(text: str) -> float | int | str | bool:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, bool | int | float) else text
