"""Mixed precision: a training's products in half the bits, where the device has them.

Weights, the optimizer, losses and everything that is served stay float32. bfloat16 costs half as much on a
processor that multiplies it itself (.37 s a step instead of .78 on one thread with AMX); elsewhere it is
emulated and slower, so it stays off. A GPU without bfloat16 takes float16, whose small gradients need the
loss scaled up.
"""

from contextlib import AbstractContextManager

import torch

CPU = torch.device("cpu")


def is_native() -> bool:
    """True when the processor multiplies bfloat16 itself."""
    able = torch.cpu.get_capabilities()
    return bool(able.get("amx_bf16") or able.get("avx512_bf16"))


def half(device: torch.device) -> torch.dtype:
    """Return the type of mixed products on ``device``."""
    plain = device.type == "cpu" or torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if plain else torch.float16


def mixed(wanted: bool, device: torch.device = CPU) -> AbstractContextManager[object]:
    """Return the context that a training step's products run in."""
    return torch.autocast(device.type, half(device) if wanted else None, enabled=wanted)


def scaler(wanted: bool = False, device: torch.device = CPU) -> torch.amp.GradScaler:
    """Return what scales the loss up against float16's small range; it does nothing in other types."""
    return torch.amp.GradScaler(device.type, enabled=wanted and half(device) is torch.float16)
