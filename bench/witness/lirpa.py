"""auto-LiRPA 0.3 on the torch of today: it is lent what torch and numpy lack now, and asked for bounds."""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.witness.foreign import demand

METHODS = ("IBP", "CROWN-IBP")
_AT_ONCE = 4  # pictures: at 64 pixels a picture has two million differences, kept some ten times


def bounds(module: nn.Module, x: Tensor, epsilon: float) -> dict[str, tuple[Tensor, Tensor]]:
    """Return by each of METHODS the least and greatest score (N,) of ``module`` within ``epsilon`` of ``x``.

    ``module`` gives scores (B, 1) of pictures (B, C, H, W). Raises InvalidConfiguration when auto-LiRPA
    is not installed.
    """
    library = _library()
    bounded = library.BoundedModule(module, x[:1], device="cpu")
    found: dict[str, list[tuple[Tensor, Tensor]]] = {method: [] for method in METHODS}
    for part in torch.split(x, _AT_ONCE):
        ball = library.PerturbationLpNorm(norm=np.inf, eps=epsilon)
        for method, rows in found.items():
            with torch.no_grad():
                ends = bounded.compute_bounds(x=(library.BoundedTensor(part, ball),), method=method)
            rows.append((ends[0][:, 0], ends[1][:, 0]))
    return {
        method: (torch.cat([low for low, _ in rows]), torch.cat([high for _, high in rows]))
        for method, rows in found.items()
    }


def _library() -> Any:
    """Return auto-LiRPA, which finds in torch and numpy the three names that it was written for."""
    demand("auto_LiRPA")
    sets = ModuleType("numpy.lib.arraysetops")
    sets.__dict__["isin"] = np.isin
    sys.modules.setdefault(sets.__name__, sets)
    from torch.onnx._internal.torchscript_exporter._globals import GLOBALS

    def set_opset(version: int) -> None:
        GLOBALS.export_onnx_opset_version = version

    # Not the attribute of torch.onnx, which is another module until this one is imported by its name.
    vars(import_module("torch.onnx.symbolic_helper")).setdefault("_set_opset_version", set_opset)
    node: Any = torch._C.Node
    if not hasattr(node, "__getitem__"):
        node.__getitem__ = lambda self, name: getattr(self, self.kindOf(name))(name)
    import auto_LiRPA

    return auto_LiRPA
