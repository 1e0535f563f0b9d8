"""Every legal form of a picture gives the same pixels; every hostile one is refused with its word."""

import numpy as np
import pytest

from steadyline.errors import PoisonMessage
from steadyline.grid import Grid
from steadyline.picture import Channels, PictureLimits, decode, inspect
from steadyline.prepare import prepare
from tests.support.models import a_defective_picture
from tests.support.pictures import hostile, legal

LIMITS = PictureLimits(200_000, 1_000_000)
PICTURE = a_defective_picture(32)
LEGAL, HOSTILE = list(legal(PICTURE)), list(hostile())


@pytest.mark.parametrize("channels", ["gray", "rgb"])
@pytest.mark.parametrize("data", [data for _, data in LEGAL], ids=[name for name, _ in LEGAL])
def test_every_legal_form_gives_the_same_pixels(data: bytes, channels: Channels) -> None:
    pixels = decode(data, inspect(data, LIMITS), channels)
    expected = PICTURE if channels == "gray" else np.repeat(PICTURE[..., None], 3, axis=2)
    assert pixels.shape == expected.shape
    assert np.abs(pixels.astype(int) - expected).max() <= 2


@pytest.mark.parametrize(
    ("data", "reason"), [item[1:] for item in HOSTILE], ids=[name for name, _, _ in HOSTILE]
)
def test_every_hostile_picture_is_refused_with_its_word(data: bytes, reason: str) -> None:
    with pytest.raises(PoisonMessage) as refused:
        prepare(decode(data, inspect(data, LIMITS), "gray"), Grid.square(64), "gray")
    assert refused.value.reason == reason
