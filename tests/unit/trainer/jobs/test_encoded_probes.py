"""A version carries frames as cameras send them, and every way of reading them wrongly gives itself away."""

import base64
import io
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from typing_extensions import override

from steadyline.contracts.model_event import EncodedProbe, Model
from steadyline.errors import ContractBroken
from steadyline.parity import check_parity
from steadyline.picture import Channels
from tests.support.inference import MemoryInference
from tests.support.models import Contrast
from trainer.detector_protocol import Served
from trainer.jobs.encoded_probes import ENCODINGS, LONGER_SIDE, encoded_probes

TOLERANCE = 2e-3  # of scores that span a half
CHANNELS: tuple[Channels, Channels] = ("gray", "rgb")


class Deviation(Served):
    """``Contrast`` in torch, of the first colour where there are three: for a model that sees colour."""

    @override
    def score_float(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return scores (B,) and maps (B, H/8, W/8) of pictures (B, C, H, W) in [0, 1]."""
        count, _, height, width = x.shape
        blocks = x[:, 0].reshape(count, height // 8, 8, width // 8, 8)
        means = blocks.mean((2, 4), keepdim=True)
        anomaly_map = (blocks - means).abs().mean((2, 4))
        return anomaly_map.amax((1, 2)), anomaly_map


def a_defect(channels: Channels) -> NDArray[np.uint8]:
    """A picture (64, 64, C) with a bright stroke on an uneven ground."""
    ground = np.add.outer(np.arange(64), np.arange(64) // 2).astype(np.uint8) + 30
    ground[20:23, 8:40] = 250
    return np.repeat(ground[..., None], 1 if channels == "gray" else 3, axis=2)


def known(channels: Channels) -> dict[str, EncodedProbe]:
    found = encoded_probes(Deviation(), a_defect(channels), channels, TOLERANCE)
    return {one.encoding: one for one in found}


def served(channels: Channels, probes: list[EncodedProbe]) -> tuple[MemoryInference, Model]:
    inference = MemoryInference()
    inference.serve("part", 1, lambda pictures: Contrast(size=64).answer(pictures[..., :1]))
    update = {"channels": channels, "encoded_probes": probes}
    return inference, Contrast(size=64).event_model(1).model_copy(update=update)


@pytest.mark.parametrize("channels", CHANNELS)
def test_every_encoding_is_carried_and_passes_where_all_is_as_at_the_training(channels: Channels) -> None:
    probes = known(channels)
    assert set(probes) == set(ENCODINGS) == {"jpeg", "png", "colour-png", "turned-jpeg", "png-of-16-bits"}
    assert all(one.tolerance == TOLERANCE for one in probes.values())
    assert sum(len(one.frame) for one in probes.values()) < 50_000
    inference, model = served(channels, list(probes.values()))
    check_parity("part", model, inference)


@pytest.mark.parametrize("shape", [(16, 512), (512, 16), (1024, 1024), (64, 64)])
def test_frames_are_small_whatever_the_grid(shape: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*shape, 1), np.uint8)
    for one in encoded_probes(Deviation(), picture, "gray", TOLERANCE):
        with Image.open(io.BytesIO(base64.b64decode(one.frame))) as frame:
            assert max(frame.size) <= LONGER_SIDE


def _other_bytes(change: Callable[[Image.Image], Image.Image]) -> Callable[[bytes], bytes]:
    """Return what another decoder makes of a frame, as bytes that ours reads as that one did."""

    def encode(data: bytes) -> bytes:
        target = io.BytesIO()
        with Image.open(io.BytesIO(data)) as frame:
            change(frame).save(target, "PNG")
        return target.getvalue()

    return encode


MISTAKES: dict[str, tuple[str, Callable[[Image.Image], Image.Image]]] = {
    "red and blue change places": (
        "colour-png",
        lambda frame: Image.merge("RGB", frame.split()[::-1]),
    ),
    "a frame is not turned upright": ("turned-jpeg", lambda frame: Image.fromarray(np.asarray(frame))),
    "sixteen bits are cut off at 255": (
        "png-of-16-bits",
        lambda frame: Image.fromarray(np.asarray(frame).clip(0, 255).astype(np.uint8)),
    ),
    "a JPEG is decoded at half its size": (
        "jpeg",
        lambda frame: frame.resize((frame.width // 2, frame.height // 2)),
    ),
    "gamma is undone": (
        "png",
        lambda frame: frame.point([round(255 * (v / 255) ** 2.2) for v in range(256)]),
    ),
}


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_frame_that_is_read_wrongly_is_refused(mistake: str, channels: Channels) -> None:
    encoding, change = MISTAKES[mistake]
    right = known(channels)[encoding]
    wrong = _other_bytes(change)(base64.b64decode(right.frame))
    read_so = right.model_copy(update={"frame": base64.b64encode(wrong).decode()})
    inference, model = served(channels, [read_so])
    with pytest.raises(ContractBroken, match=f"{encoding} frame.*, the trainer saw"):
        check_parity("part", model, inference)


@pytest.mark.parametrize("frame", ["", "%%%", "ü", base64.b64encode(b"no picture").decode()])
def test_a_frame_that_is_none_is_refused_and_names_its_encoding(frame: str) -> None:
    broken = known("gray")["jpeg"].model_copy(update={"frame": frame})
    inference, model = served("gray", [broken])
    with pytest.raises(ContractBroken, match="the jpeg probe"):
        check_parity("part", model, inference)
