"""Evidence: the frame as it came and its map, kept for anomalous frames and a sample of normal ones."""

import io
import zlib
from dataclasses import dataclass

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from scorer import metrics
from steadyline.contracts.score import Verdict
from steadyline.digest import sha256
from steadyline.inference import Floats
from steadyline.kafka.broker import Record
from steadyline.picture import PictureInfo
from steadyline.store import Store

MAP_MIN, MAP_MAX = "steadyline:map-min", "steadyline:map-max"


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where a frame's picture and map are, and the picture's SHA-256: what was scored can be told later."""

    picture_uri: str | None = None
    map_uri: str | None = None
    picture_sha256: str | None = None


NOTHING = Evidence()


def is_kept(verdict: Verdict, frame_id: str, sample: float) -> bool:
    """Return whether a frame's evidence is kept; the same frame always gets the same answer.

    ``sample`` is the fraction of normal frames kept.
    """
    return verdict == "anomalous" or zlib.crc32(frame_id.encode()) < sample * (1 << 32)


def evidence_key(record: Record) -> str:
    """Return the folder of a record's evidence: by its place, so that a replay overwrites it."""
    return f"evidence/{record.partition.topic}/{record.partition.number}/{record.offset}"


def keep_evidence(
    store: Store, product: str, record: Record, info: PictureInfo, anomaly_map: Floats
) -> Evidence:
    """Write picture and map, and return their addresses; raises StoreUnavailable."""
    folder = evidence_key(record)
    picture = record.value or b""
    drawn = draw_map(anomaly_map)
    extension = "jpg" if info.format == "jpeg" else "png"
    picture_uri = store.put(f"{folder}/picture.{extension}", picture, info.content_type)
    map_uri = store.put(f"{folder}/map.png", drawn, "image/png")
    metrics.EVIDENCE_BYTES.add(len(picture), product=product, kind="picture")
    metrics.EVIDENCE_BYTES.add(len(drawn), product=product, kind="map")
    return Evidence(picture_uri, map_uri, sha256(picture))


def draw_map(anomaly_map: Floats) -> bytes:
    """Return (h, w) float32 as a grey PNG, black its lowest value and white its highest.

    The two values are in the PNG's text, so that the map can be read back to 1/255 of its range.
    """
    low, high = float(anomaly_map.min()), float(anomaly_map.max())
    span = high - low if high > low else 1.0
    scaled = (anomaly_map.astype(np.float64) - low) / span * 255
    text = PngInfo()
    text.add_text(MAP_MIN, repr(low))
    text.add_text(MAP_MAX, repr(high))
    target = io.BytesIO()
    Image.fromarray(np.rint(scaled).astype(np.uint8)).save(target, "PNG", pnginfo=text)
    return target.getvalue()
