"""Evidence: the unchanged frame and its map, kept for anomalous frames and a sample of normal ones."""

import zlib
from dataclasses import dataclass

from scorer import metrics
from steadyline.contracts.score import Verdict
from steadyline.digest import sha256
from steadyline.inference import Floats
from steadyline.kafka.broker import Record
from steadyline.map_png import encode_map
from steadyline.picture import PictureInfo
from steadyline.store import Store


@dataclass(frozen=True, slots=True)
class Evidence:
    """Addresses of a frame's picture and map, and the picture's SHA-256, which proves what was scored."""

    picture_uri: str | None = None
    map_uri: str | None = None
    picture_sha256: str | None = None


NOTHING = Evidence()


def is_kept(verdict: Verdict, frame_id: str, sample: float) -> bool:
    """Tell whether a frame's evidence is kept; the same frame always gets the same answer.

    ``sample`` is the fraction of normal frames that is kept.
    """
    return verdict == "anomalous" or zlib.crc32(frame_id.encode()) < sample * (1 << 32)


def evidence_key(record: Record) -> str:
    """Return the folder of a record's evidence, named by its place so that a replay overwrites it."""
    return f"evidence/{record.partition.topic}/{record.partition.number}/{record.offset}"


def keep_evidence(
    store: Store, product: str, record: Record, info: PictureInfo, anomaly_map: Floats
) -> Evidence:
    """Write picture and map, and return their addresses; raises StoreUnavailable."""
    folder = evidence_key(record)
    picture = record.value or b""
    encoded_map = encode_map(anomaly_map)
    extension = "jpg" if info.format == "jpeg" else "png"
    picture_uri = store.put(f"{folder}/picture.{extension}", picture, info.content_type)
    map_uri = store.put(f"{folder}/map.png", encoded_map, "image/png")
    metrics.EVIDENCE_BYTES.add(len(picture), product=product, kind="picture")
    metrics.EVIDENCE_BYTES.add(len(encoded_map), product=product, kind="map")
    return Evidence(picture_uri, map_uri, sha256(picture))
