"""Check that a served version sees in a camera's bytes what the trainer saw in them.

Known answers of prepared pictures (``steadyline.probe``) tell whether the graph computes as it did. They say
nothing of what comes before: another decoder, another resize, or red and blue that have changed places move
the score of every frame and no known answer. So a version carries frames too, encoded in each way that a
camera may, with the score that the trainer's own network gave to these bytes.
"""

import base64
import binascii
from datetime import timedelta

import numpy as np

from steadyline.contracts.model_event import EncodedProbe, Model
from steadyline.errors import ContractBroken, InferenceUnavailable, PoisonMessage
from steadyline.inference import Floats, Inference, ModelRef, Pixels
from steadyline.picture import Channels, PictureLimits, decode, inspect
from steadyline.prepare import prepare
from steadyline.probe import WITHIN

# Of a frame that a model carries. The trainer makes them small; whoever writes model events may not.
ENCODED_LIMITS = PictureLimits(max_bytes=256 << 10, max_pixels=1 << 18)
BELOW_PEAK = 0.1  # of a map's range: by so much its highest cell at the training may be below the one now


def check_parity(product: str, model: Model, inference: Inference, within: timedelta = WITHIN) -> None:
    """Decode, prepare and score the encoded probes of a version, and hold scores and peaks to the trainer's.

    A model of an earlier release has none, and passes. Raises ContractBroken when a score differs by more
    than its tolerance or a frame cannot be read, InferenceUnavailable when no answer comes.
    """
    known = model.encoded_probes
    at_once = model.grid.batch(max(1, len(known)))
    for first in range(0, len(known), at_once):
        part = known[first : first + at_once]
        pictures = np.stack([prepared_probe(one, model) for one in part])
        asked = inference.infer(ModelRef.of(product, model), pictures)
        try:
            answer = asked.result(within.total_seconds())
        except TimeoutError as error:
            raise InferenceUnavailable(f"probing {product} version {model.version}: no answer") from error
        for one, found, anomaly_map in zip(part, answer.scores, answer.maps, strict=True):
            _check(product, model.version, one, float(found))
            _check_peak(product, model.version, one, anomaly_map)


def prepared_probe(known: EncodedProbe, model: Model) -> Pixels:
    """Return the model's input (H, W, C) of an encoded probe; raises ContractBroken when it is unusable."""
    try:
        data = base64.b64decode(known.frame, validate=True)
        return seen(data, model)
    except (binascii.Error, PoisonMessage, ValueError) as error:
        raise ContractBroken(f"version {model.version}: the {known.encoding} probe: {error}") from error


def seen(data: bytes, model: Model) -> Pixels:
    """Return the model's input (H, W, C) of encoded bytes, as a scorer makes it; raises PoisonMessage."""
    channels: Channels = model.channels
    return prepare(decode(data, inspect(data, ENCODED_LIMITS), channels), model.grid, channels)


def _check(product: str, version: int, known: EncodedProbe, found: float) -> None:
    if not abs(found - known.score) <= known.tolerance:  # written so that NaN fails too
        raise ContractBroken(
            f"{product} version {version} gives {found:.6g} for its {known.encoding} frame, the trainer saw "
            f"{known.score:.6g} ± {known.tolerance:.2g} in the same bytes: frames are decoded, prepared or "
            "computed in another way than at the training"
        )


def peak_of(anomaly_map: Floats) -> tuple[float, float]:
    """Return the centre of a map's highest cell (h, w), x and y in fractions of the frame."""
    height, width = anomaly_map.shape
    row, column = divmod(int(anomaly_map.argmax()), width)
    return (column + 0.5) / width, (row + 0.5) / height


def _check_peak(product: str, version: int, known: EncodedProbe, anomaly_map: Floats) -> None:
    """Raise ContractBroken when the map is high elsewhere: a score may be the same of a turned frame."""
    height, width = anomaly_map.shape
    there = float(anomaly_map[int(known.y * height), int(known.x * width)])
    low, high = float(anomaly_map.min()), float(anomaly_map.max())
    if not high - there <= BELOW_PEAK * (high - low):
        x, y = peak_of(anomaly_map)
        raise ContractBroken(
            f"{product} version {version} sees its {known.encoding} frame highest at {x:.2f}, {y:.2f}, the "
            f"trainer saw it at {known.x:.2f}, {known.y:.2f}: frames are turned or prepared in another way"
        )
