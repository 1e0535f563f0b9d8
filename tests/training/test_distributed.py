"""Processes that share a training have the losses of one process; a process alone has nothing to share."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn

from tests.support.distributed import STEPS, an_input, curves
from trainer.adversarial import distributed
from trainer.adversarial.schedule import TrainingSchedule, device_of, here
from trainer.detectors.cobra.profile import PROFILES
from trainer.learning.precision import CPU, mixed, scaler

# Summing in another order moves float32 by 1e-7; the sign of an attack's gradient may turn where it is
# nearly zero, which moves a loss by up to 1e-4 within a few steps.
RELATIVE = 1e-3


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What process 0 of two wrote, started by torchrun over gloo on loopback."""
    out = tmp_path_factory.mktemp("ranks") / "two.json"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run(
        [*command, "-m", "tests.support.distributed", str(out)],
        env={**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"},
        check=True,
        timeout=300,
        capture_output=True,
    )
    found: dict[str, Any] = json.loads(out.read_text())
    return found


def test_two_processes_have_the_loss_curve_and_the_weights_of_one(shared: dict[str, Any]) -> None:
    torch.set_num_threads(1)
    assert shared["processes"] == 2
    alone = curves(an_input())
    assert set(shared["curves"]) == set(alone)
    for name, curve in alone.items():
        assert len(set(curve["losses"])) == STEPS
        assert shared["curves"][name]["losses"] == pytest.approx(curve["losses"], rel=RELATIVE), name
        assert shared["curves"][name]["sizes"] == pytest.approx(curve["sizes"], rel=5e-3, abs=1e-4), name


def test_a_batch_that_the_processes_cannot_share_evenly_is_refused(shared: dict[str, Any]) -> None:
    assert shared["refusal"].startswith("a batch of 7 pairs cannot be shared by 2 processes")


def test_a_process_alone_keeps_everything_as_it_is() -> None:
    rows = torch.rand(3, 8, 2)
    with distributed.joined():
        assert (distributed.rank(), distributed.world()) == (0, 1)
        assert distributed.own(rows) is rows
        assert distributed.gathered(rows) is rows
        assert distributed.mean(rows) is rows
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    distributed.share_norms(network)
    assert type(network[1]) is nn.BatchNorm2d
    distributed.check_agreement(step=3, pairs=7)


def paper_course() -> TrainingSchedule:
    return PROFILES["paper"].schedule


def test_a_profile_for_a_gpu_runs_where_there_is_none() -> None:
    schedule = here(paper_course())
    assert paper_course().device == "cuda"
    assert schedule.device == ("cuda" if torch.cuda.is_available() else "cpu")
    assert device_of(here(PROFILES["cpu"].schedule)) == CPU


def test_only_products_are_in_half_the_bits_and_only_when_wanted() -> None:
    left, right = torch.rand(4, 4), torch.rand(4, 4)
    with mixed(True):
        assert (left @ right).dtype is torch.bfloat16
    with mixed(False):
        assert (left @ right).dtype is torch.float32


def test_bfloat16_needs_no_scaled_loss() -> None:
    found = scaler(True, CPU)
    assert not found.is_enabled()
    assert found.scale(torch.ones(())) == 1
