"""Anomalib's models by name. They have an environment of their own, so nothing of it is imported here."""

from collections.abc import Mapping
from importlib.util import find_spec
from pkgutil import resolve_name
from typing import Protocol

from torch import Tensor

from bench.robustness.baselines import Given
from steadyline.errors import InvalidConfiguration
from trainer.detectors.protocol import Progress, Served

PREFIX = "anomalib-"
NAMES = ("anomalib-patchcore", "anomalib-stfpm")
_ADAPTERS = "bench.robustness.anomalib_models:ADAPTERS"


class Adapter(Protocol):
    """One model of Anomalib as the bench uses it."""

    def fit(self, given: Given, told: Progress) -> Served:
        """Return the module that Anomalib's own training made of the normals."""
        ...

    def rebuilt(self, weights: Mapping[str, Tensor]) -> Served:
        """Return the module with the tensors of one that was fitted; RuntimeError when they do not fit."""
        ...


def adapter_named(name: str) -> Adapter:
    """Return the adapter of a model of Anomalib.

    Raises InvalidConfiguration when there is none of that name, or Anomalib is not installed here.
    """
    if name not in NAMES:
        raise InvalidConfiguration(
            f"the bench has no {name}; there are {', '.join(NAMES)} (docs/benchmark.md says why these)"
        )
    if find_spec("anomalib") is None:
        raise InvalidConfiguration(
            f"{name} needs Anomalib, which has an environment of its own: run `make bench-anomalib` once, "
            "then the same command with .venv-anomalib/bin/python"
        )
    adapters: Mapping[str, Adapter] = resolve_name(_ADAPTERS)
    return adapters[name]
