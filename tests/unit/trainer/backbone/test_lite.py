"""The pretrained network is the published one, and sees pictures as it was taught to."""

import torch
from PIL import Image, ImageDraw

from trainer.backbone.lite import CHANNELS, STRIDES, as_input, trimmed
from trainer.backbone.weights import pretrained

# of ImageNet's 1000 classes
ANALOG_CLOCK, DIGITAL_CLOCK, STOPWATCH, WALL_CLOCK = 409, 530, 826, 892


def a_clock(side: int = 224) -> torch.Tensor:
    """Return a drawn wall clock (1, 3, side, side) in [0, 1]."""
    picture = Image.new("RGB", (side, side), (200, 190, 170))
    draw = ImageDraw.Draw(picture)
    middle, radius = side // 2, side * 2 // 5
    draw.ellipse([middle - radius] * 2 + [middle + radius] * 2, fill="white", outline="black", width=8)
    for x, y in ((0, -60), (45, 20)):
        draw.line([middle, middle, middle + x, middle + y], fill="black", width=6)
    for hour in range(12):
        angle = torch.tensor(hour * torch.pi / 6)
        right, up = float(angle.sin()), float(angle.cos())
        draw.text(
            (middle + 0.8 * radius * right - 5, middle - 0.8 * radius * up - 6), str(hour or 12), "black"
        )
    pixels = torch.tensor(list(picture.tobytes()), dtype=torch.uint8).reshape(side, side, 3)
    return pixels.permute(2, 0, 1)[None].float() / 255


def test_it_knows_a_clock() -> None:
    with torch.inference_mode():
        best = pretrained()(as_input(a_clock())).topk(3).indices[0].tolist()
    assert set(best) & {ANALOG_CLOCK, WALL_CLOCK}


def test_stages_have_the_strides_and_channels_they_say() -> None:
    with torch.inference_mode():
        found = pretrained().stages(as_input(torch.rand(2, 1, 64, 64)))
    assert [tuple(stage.shape) for stage in found] == [
        (2, channels, 64 // stride, 64 // stride) for channels, stride in zip(CHANNELS, STRIDES, strict=True)
    ]


def test_fewer_stages_cost_no_more_than_they_need() -> None:
    with torch.inference_mode():
        x = as_input(torch.rand(1, 3, 32, 32))
        torch.testing.assert_close(pretrained().stages(x, 3), pretrained().stages(x)[:3])


def test_nothing_of_it_is_trained() -> None:
    assert not any(parameter.requires_grad for parameter in pretrained().parameters())
    assert not pretrained().training


def test_trimmed_is_the_same_as_far_as_it_goes() -> None:
    x = as_input(torch.rand(1, 1, 64, 64))
    short = trimmed(pretrained(), 3)
    with torch.inference_mode():
        torch.testing.assert_close(short.stages(x, 3), pretrained().stages(x, 3))
    assert 0 < len(short.state_dict()) < len(pretrained().state_dict()) / 2
