"""A backbone is a choice: the shipped network, or one of timm's with weights from a file of the user's."""

import hashlib
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from steadyline.errors import InvalidConfiguration, PackageRejected
from trainer.backbone.choice import (
    SHIPPED,
    BackboneChoice,
    check_backbone,
    chosen_backbone,
    empty_backbone,
)
from trainer.backbone.weights import DIGEST

NAME = "test_resnet"  # timm's own smallest one
with_timm = pytest.mark.skipif(
    find_spec("timm") is None, reason="timm is not installed (steadyline[backbones])"
)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    import timm

    torch.manual_seed(0)
    made: nn.Module = timm.create_model(NAME, pretrained=False)
    save_file(made.state_dict(), tmp_path / "weights.safetensors")
    return tmp_path / "weights.safetensors"


def test_the_shipped_network_needs_no_file_and_has_a_known_licence() -> None:
    network, identity = chosen_backbone(BackboneChoice())
    assert (identity.name, identity.licence, identity.file_sha256) == (SHIPPED, "Apache-2.0", DIGEST)
    assert not any(parameter.requires_grad for parameter in network.parameters())
    fine, coarse = network.levels(torch.zeros(1, 1, 64, 32))
    assert (fine.shape, coarse.shape) == ((1, network.channels[0], 8, 4), (1, network.channels[1], 4, 2))
    assert network(torch.zeros(2, 3, 64, 32)).shape == (2, sum(network.channels), 8, 4)


@with_timm
def test_a_network_of_timm_takes_its_weights_from_a_file(weights: Path) -> None:
    network, identity = chosen_backbone(BackboneChoice(NAME, str(weights), "CC-BY-NC-4.0"))
    assert identity.licence == "CC-BY-NC-4.0"
    assert identity.file_sha256 == hashlib.sha256(weights.read_bytes()).hexdigest()
    found = network(torch.rand(2, 1, 64, 48))
    assert found.shape == (2, sum(network.channels), 8, 6)
    assert float(found.std()) > 0


@with_timm
def test_a_network_is_made_again_from_its_identity_and_checked(weights: Path) -> None:
    network, identity = chosen_backbone(BackboneChoice(NAME, str(weights)))
    assert identity.licence == "NOASSERTION"
    again = empty_backbone(identity.as_json())
    with pytest.raises(PackageRejected, match="recipe pins"):
        check_backbone(again, identity.as_json())
    again.load_state_dict(network.state_dict())
    check_backbone(again, identity.as_json())
    x = torch.rand(1, 3, 32, 32)
    assert torch.equal(again(x), network(x))


@with_timm
def test_a_network_of_timm_that_is_unknown_or_too_coarse_is_refused(weights: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="timm has no network 'viper'"):
        chosen_backbone(BackboneChoice("viper", str(weights)))
    with pytest.raises(InvalidConfiguration, match="are not those of"):
        chosen_backbone(BackboneChoice("test_efficientnet", str(weights)))
    with pytest.raises(PackageRejected, match="cannot be made here"):
        empty_backbone({"name": "viper"})


@pytest.mark.parametrize(
    ("choice", "wrong"),
    [
        (BackboneChoice(SHIPPED, "weights.pth"), "shipped with its weights"),
        (BackboneChoice(SHIPPED, licence="MIT"), "shipped with its weights"),
        (BackboneChoice(NAME), r"needs backbone\.file"),
        (BackboneChoice(NAME, "no/such.safetensors"), "cannot be read"),
    ],
)
def test_a_choice_that_cannot_be_carried_out_says_what_to_do(choice: BackboneChoice, wrong: str) -> None:
    with pytest.raises(InvalidConfiguration, match=wrong):
        chosen_backbone(choice)


def test_a_file_without_tensors_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    file.write_bytes(b"no tensors at all")
    with pytest.raises(InvalidConfiguration, match="holds no safetensors"):
        chosen_backbone(BackboneChoice(NAME, str(file)))


@with_timm
def test_a_licence_is_one_spdx_identifier(weights: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="no SPDX identifier"):
        chosen_backbone(BackboneChoice(NAME, str(weights), "free, I think"))
