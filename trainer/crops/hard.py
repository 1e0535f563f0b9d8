"""Hard places: where the net, half trained, finds normals most anomalous, which is what it has to unlearn."""

import torch
from torch import Tensor

from trainer.adversarial.fuse_batchnorm import folded
from trainer.adversarial.network import CellNetwork
from trainer.arrays import Pictures

AFTER = (0.35, 0.55, 0.75)  # shares of the run after which the places are looked up anew
PER_NORMAL = 4


def is_due(step: int, steps: int) -> bool:
    """Tell whether hard places are looked up after this step."""
    return step in {round(steps * share) for share in AFTER}


def hard_places(network: CellNetwork, normals: Pictures) -> Tensor:
    """Return the hard places (P, 3) of normals (N, H, W, C): normal, row and column of the pixel.

    Each normal has PER_NORMAL of them. No two cells of one normal touch, so that one scratch on a good part
    does not take all its places.
    """
    still = folded(network)
    found = []
    for source, picture in enumerate(normals):
        cells = cell_map(still, picture)
        for row, column in _highest(cells):
            stride = picture.shape[0] / cells.shape[0], picture.shape[1] / cells.shape[1]
            found.append([source, int((row + 0.5) * stride[0]), int((column + 0.5) * stride[1])])
    return torch.tensor(found)


def cell_map(still: CellNetwork, picture: Pictures) -> Tensor:
    """Return the logits (h, w) of the cells of one picture (H, W, C) uint8, on the CPU."""
    device = next(still.parameters()).device
    with torch.inference_mode():
        x = torch.from_numpy(picture).to(device).permute(2, 0, 1)[None].float() / 255
        return still.classify(still.features(x.contiguous(memory_format=torch.channels_last)))[0].cpu()


def _highest(cells: Tensor) -> list[tuple[int, int]]:
    """Return the highest cells of a map (h, w), each at least two cells from the others."""
    left = cells.clone()
    found = []
    for _ in range(min(PER_NORMAL, cells.numel())):
        row, column = divmod(int(left.argmax()), cells.shape[1])
        found.append((row, column))
        left[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2] = -torch.inf
    return found
