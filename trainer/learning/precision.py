"""Mixed precision: a training's products are computed in 16 bits where the device can.

Weights, the optimizer, losses and everything that is served stay float32. bfloat16 halves the time on a
processor that multiplies it natively (.37 s a step instead of .78 on one thread with AMX). Other processors
emulate it more slowly, so there it stays off. A GPU without bfloat16 uses float16, whose small gradients need
the loss to be scaled up.
"""

from contextlib import AbstractContextManager

import torch

CPU = torch.device("cpu")


def is_native() -> bool:
    """Tell whether the processor multiplies bfloat16 natively."""
    able = torch.cpu.get_capabilities()
    return bool(able.get("amx_bf16") or able.get("avx512_bf16"))


def half(device: torch.device) -> torch.dtype:
    """Return the 16-bit type of mixed products on ``device``."""
    plain = device.type == "cpu" or torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if plain else torch.float16


def mixed(wanted: bool, device: torch.device = CPU) -> AbstractContextManager[object]:
    """Return the context in which a training step computes its products."""
    return torch.autocast(device.type, half(device) if wanted else None, enabled=wanted)


def scaler(wanted: bool = False, device: torch.device = CPU) -> torch.amp.GradScaler:
    """Return the scaler that lifts the loss out of float16's small range; it does nothing for other types."""
    return torch.amp.GradScaler(device.type, enabled=wanted and half(device) is torch.float16)
