"""Where an evaluation's results come from: made now, or known from an earlier run that was cut short."""

from collections.abc import Callable
from typing import Any, Protocol

from numpy.typing import NDArray

from trainer.evaluation.subject import Scores

Arrays = dict[str, NDArray[Any]]


class Results(Protocol):
    """Gives each result by its name. ``make`` is called only when the result is not known yet.

    One object serves one model, one test set and one choice of settings: names do not repeat them.
    """

    def value(self, name: str, make: Callable[[], Any]) -> Any:
        """Return what ``make`` returns, which must be JSON."""
        ...

    def scores(self, name: str, make: Callable[[], Scores]) -> Scores:
        """Return the scores (N,) that ``make`` returns."""
        ...

    def arrays(self, name: str, make: Callable[[], Arrays]) -> Arrays:
        """Return the arrays that ``make`` returns, by their names."""
        ...


class FreshResults:
    """Remembers nothing: makes each result when it is asked for."""

    def value(self, name: str, make: Callable[[], Any]) -> Any:
        """See Results."""
        return make()

    def scores(self, name: str, make: Callable[[], Scores]) -> Scores:
        """See Results."""
        return make()

    def arrays(self, name: str, make: Callable[[], Arrays]) -> Arrays:
        """See Results."""
        return make()
