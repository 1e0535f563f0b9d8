"""Opens a package of both halves for a bench."""

from pathlib import Path

from steadyline.errors import InvalidConfiguration
from steadyline.package import Card
from trainer.detectors.either.served import EitherServed
from trainer.folder import open_package


def open_either(model: Path) -> tuple[Card, EitherServed]:
    """Return card and module of a package; raises InvalidConfiguration when it is of another detector."""
    card, module = open_package(model)
    if not isinstance(module, EitherServed):
        raise InvalidConfiguration(f"--model {model}: this package is of {card.detector}, not of either")
    return card, module
