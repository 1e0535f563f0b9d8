"""Networks of timm (Apache-2.0), by name, with weights from a file of the user's; nothing is fetched.

timm is an extra, ``steadyline[backbones]``: nothing that is shipped needs it.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from steadyline.errors import InvalidConfiguration
from trainer.backbone.features import COARSE, FINE, FrozenFeatures
from trainer.backbone.lite import frozen


class TimmFeatures(FrozenFeatures):
    """The last levels of strides 8 and 16 of a network of timm, and the scaling that it was trained with."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, name: str, weights: Mapping[str, Tensor] | None = None) -> None:
        """Fill the network with ``weights``, under timm's own names, before what is not needed is cut off.

        Raises InvalidConfiguration when timm is not installed, when it has no network of this name that has
        both levels, or when the weights do not fit.
        """
        super().__init__()
        network: Any = _made(name)
        if weights is not None:
            try:
                network.load_state_dict(dict(weights))
            except RuntimeError as error:
                raise InvalidConfiguration(
                    f"the weights in backbone.file are not those of {name}: {str(error)[:500]}"
                ) from error
        listed: list[dict[str, int]] = list(network.feature_info)
        strides = [level["reduction"] for level in listed]
        if FINE not in strides or COARSE not in strides:
            raise InvalidConfiguration(
                f"{name} has features of strides {strides}: a backbone needs {FINE} and {COARSE}"
            )
        places = [len(strides) - 1 - strides[::-1].index(stride) for stride in (FINE, COARSE)]
        self.channels = (listed[places[0]]["num_chs"], listed[places[1]]["num_chs"])
        network.prune_intermediate_layers(places, prune_norm=True, prune_head=True)
        self.network: Any = frozen(network)
        self._places = places
        for kind, buffer in (("mean", "mean"), ("std", "deviation")):
            numbers = torch.tensor(network.pretrained_cfg[kind]).view(3, 1, 1)
            self.register_buffer(buffer, numbers)

    @override
    def levels(self, x: Tensor) -> tuple[Tensor, Tensor]:
        colour = x.expand(-1, 3, -1, -1) if x.shape[1] == 1 else x
        fine, coarse = self.network.forward_intermediates(
            (colour - self.mean) / self.deviation,
            indices=self._places,
            stop_early=True,
            intermediates_only=True,
        )
        return fine, coarse


def _made(name: str) -> torch.nn.Module:
    if find_spec("timm") is None:
        raise InvalidConfiguration(
            f"the backbone {name} is one of timm's, which is not installed: "
            "pip install 'steadyline[backbones]'"
        )
    import timm

    if not timm.is_model(name):
        raise InvalidConfiguration(
            f"timm has no network {name!r}; backbone.name is one that timm.list_models() lists"
        )
    made: torch.nn.Module = timm.create_model(name, pretrained=False)
    if not hasattr(made, "forward_intermediates") or not hasattr(made, "prune_intermediate_layers"):
        raise InvalidConfiguration(f"{name} gives no intermediate features, which a backbone must")
    return made
