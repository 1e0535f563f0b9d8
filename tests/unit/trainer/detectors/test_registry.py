"""The registry knows every detector by name, without importing one."""

import subprocess
import sys

import pytest

from steadyline.errors import InvalidConfiguration
from steadyline.line import load_line
from tests.packaging.rules import ROOT
from trainer.detector_protocol import Detector
from trainer.detectors.registry import DETECTORS, detector_named


@pytest.mark.parametrize("name", DETECTORS)
def test_a_name_leads_to_the_detector_of_the_folder_of_that_name(name: str) -> None:
    kind = type(detector_named(name))
    assert Detector in kind.__mro__
    assert kind.__module__.startswith(f"trainer.detectors.{name}.")


def test_an_unknown_name_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(InvalidConfiguration, match=r"no detector 'viper'; there are .*certified, cobra"):
        detector_named("viper")


@pytest.mark.parametrize("name", ["robust&daf", "robust&", "robust&certified&certified"])
def test_nothing_but_certified_is_a_companion(name: str) -> None:
    with pytest.raises(InvalidConfiguration, match="is no companion"):
        detector_named(name)


def test_the_names_are_known_without_torch() -> None:
    program = "import sys, trainer.detectors.registry; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_example_of_a_line_file_names_detectors_that_there_are() -> None:
    assert load_line(ROOT / "docs/line.yaml", DETECTORS).products["cell"].map_detector is not None
