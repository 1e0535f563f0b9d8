"""Reason words: one word is metric label, header and log field."""

from collections.abc import Iterator

from steadyline.errors import SteadylineError
from tools.docs.markdown import prose
from tools.docs.schema import Undescribed


def reason_words(base: type[SteadylineError]) -> Iterator[tuple[str, str]]:
    """Yield (reason, meaning) of the errors of the core below ``base``; raises Undescribed."""
    for cls in base.__subclasses__():
        if cls.__module__ != SteadylineError.__module__:
            continue
        if not cls.__doc__:
            raise Undescribed(f"{cls.__name__} has no docstring")
        if "reason" not in vars(cls):
            raise Undescribed(f"{cls.__name__} has no reason of its own")
        yield cls.reason, prose(cls.__doc__)
        yield from reason_words(cls)
