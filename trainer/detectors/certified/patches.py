"""Cut patches out of pictures, and choose at each place the few normal patches that stand for all of them."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

CHUNK = 8  # places at once: 8 x 4,000 patches of 16 pixels fit the second-level cache of a core


def patch_planes(x: Tensor, patch: int, stride: int) -> list[Tensor]:
    """Return one plane (B, places) per pixel of a patch: its values at every place of (B, C, H, W)."""
    high, wide = ((side - patch) // stride * stride + 1 for side in x.shape[2:])
    return [
        x[:, channel, down : down + high : stride, right : right + wide : stride].flatten(1)
        for channel in range(x.shape[1])
        for down in range(patch)
        for right in range(patch)
    ]


def patches_by_place(x: Tensor, patch: int, stride: int) -> Tensor:
    """Return the patches (places, B, pixels of a patch) of pictures (B, C, H, W)."""
    return torch.stack(patch_planes(x, patch, stride), dim=2).transpose(0, 1).contiguous()


def pooled(x: Tensor, pool: int) -> Tensor:
    """Return the means (B, C, H // pool, W // pool) of squares of ``pool`` x ``pool`` pixels."""
    return x if pool == 1 else functional.avg_pool2d(x, pool)


def cover(found: Tensor, size: int) -> Tensor:
    """Return indices (L, size): at each of L places, those of R patches (L, R, P) that cover the others.

    Each next patch is the one farthest from those chosen before (Gonzalez, 1985), by mean absolute
    difference. The first is the patch nearest to the mean.
    """
    chosen = torch.zeros(len(found), size, dtype=torch.long)
    for start in range(0, len(found), CHUNK):
        part = found[start : start + CHUNK]
        row = torch.arange(len(part))
        index = _apart(part, part.mean(1)).argmin(1)
        covered = torch.full(part.shape[:2], torch.inf)
        for place in range(size):
            chosen[start : start + CHUNK, place] = index
            covered = torch.minimum(covered, _apart(part, part[row, index]))
            index = covered.argmax(1)
    return chosen


def leave_one_out(patches: Tensor, memory: Tensor, origin: Tensor, tolerance: float = 0.0) -> Tensor:
    """Return distances (L, N) of normals' patches (L, N, P) to the memory (L, M, P) without their own.

    ``origin`` (L, M) names the normal that each patch of the memory came from. Where all patches of a place
    come from one normal, that normal is infinitely far. Distance is the mean of what pixels differ beyond
    ``tolerance``.
    """
    own = torch.arange(patches.shape[1])
    rows = []
    for seen, kept, source in zip(patches, memory, origin, strict=True):
        apart = torch.zeros(len(seen), len(kept))
        for pixel, other in zip(seen.T, kept.T, strict=True):
            apart += ((pixel[:, None] - other).abs_() - tolerance).clamp_min_(0)
        rows.append(apart.div_(seen.shape[1]).masked_fill_(source[None] == own[:, None], torch.inf).amin(1))
    return torch.stack(rows)


def views(normals: Tensor, gains: Sequence[float], rows: slice) -> Tensor:
    """Return ``rows`` of normals (N, C, H, W) under each gain, in four flips: (gains · 4 · N, C, h, W)."""
    height = normals.shape[2]
    upright = normals[:, :, rows]
    overturned = normals[:, :, height - rows.stop : height - rows.start].flip(-2)
    seen = (upright, upright.flip(-1), overturned, overturned.flip(-1))
    return torch.cat([(one * gain).clamp(0, 1) for gain in gains for one in seen])


def _apart(part: Tensor, centre: Tensor) -> Tensor:
    """Return mean absolute differences (L, R) between patches (L, R, P) and centres (L, P)."""
    return (part - centre[:, None]).abs().mean(2)
