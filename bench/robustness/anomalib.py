"""Anomalib's models by name. They have an environment of their own, so nothing of it is imported here."""

from collections.abc import Mapping
from importlib.util import find_spec
from pkgutil import resolve_name

from bench.robustness.baseline import Baseline
from steadyline.errors import InvalidConfiguration

PREFIX = "anomalib-"
NAMES = ("anomalib-patchcore", "anomalib-stfpm")
_MODELS = "bench.robustness.anomalib_models:MODELS"


def model_named(name: str) -> Baseline:
    """Return a model of Anomalib.

    Raises InvalidConfiguration when there is no model of that name, or when Anomalib is not installed here.
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
    models: Mapping[str, Baseline] = resolve_name(_MODELS)
    return models[name]
