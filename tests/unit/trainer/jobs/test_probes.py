"""The known answers of a version fit into its product's event, however large the pictures are."""

import base64

import numpy as np
import pytest
from numpy.typing import NDArray

from steadyline.contracts.model_event import Probe
from steadyline.contracts.topics import Topics
from steadyline.picture import encode_png
from tests.support.model_history import NOW, a_model
from trainer.jobs.build import MOST_PROBE_BYTES, PROBES, coarse_enough
from trainer.lifecycle import transitions
from trainer.lifecycle.product_state import SIZES


def noise(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def png_of(picture: NDArray[np.uint8]) -> bytes:
    return encode_png(picture if picture.shape[2] == 3 else picture[..., 0], level=9)


@pytest.mark.parametrize("shape", [(64, 64, 1), (512, 208, 1), (512, 512, 3), (16, 1024, 3)])
def test_a_probe_is_coarse_only_as_far_as_it_is_too_large(shape: tuple[int, int, int]) -> None:
    picture = noise(*shape)
    found = coarse_enough(picture)
    assert found.shape == shape
    assert len(png_of(found)) <= MOST_PROBE_BYTES
    assert (len(png_of(picture)) <= MOST_PROBE_BYTES) == np.array_equal(found, picture)
    assert (found[0, 0] == picture[0, 0]).all()


def test_an_event_of_ten_versions_in_colour_at_a_megapixel_fits_the_topic() -> None:
    picture = base64.b64encode(png_of(coarse_enough(noise(1024, 1024, 3)))).decode()
    probes = [Probe(picture_png=picture, score=1.0, tolerance=0.1) for _ in range(2 * PROBES)]
    event = transitions.nothing_yet("cell", NOW)
    for version in range(1, 11):
        model = a_model(version, cameras=20).model_copy(
            update={"size": 1024, "channels": "rgb", "probes": probes}
        )
        event = transitions.add(event, model, NOW)
        event = transitions.go_live(event, transitions.Step(version, "live", "passed", NOW), {})
    assert len(event.encode()) <= SIZES[0] <= Topics().model_events.max_message_bytes
    for size in SIZES:
        shorter = transitions.fitted(event, size)
        live = shorter.live()
        assert len(shorter.encode()) <= size
        assert live is not None
        assert live.probes == probes
