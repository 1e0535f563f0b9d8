"""Evidence: the unchanged frame and its map, kept for anomalous frames and a sample of normal ones."""

import zlib
from dataclasses import dataclass

from scorer import metrics
from steadyline.contracts.evidence import MAP_NAME, EvidenceKey
from steadyline.contracts.score import Verdict
from steadyline.digest import sha256
from steadyline.kafka.broker import Record
from steadyline.picture import PictureInfo
from steadyline.store import Store


@dataclass(frozen=True, slots=True)
class Evidence:
    """Addresses of a frame's picture and map, and the picture's SHA-256, which proves what was scored."""

    picture_uri: str | None = None
    map_uri: str | None = None
    picture_sha256: str | None = None


NOTHING = Evidence()


def is_kept(verdict: Verdict, record: Record, sample: float) -> bool:
    """Tell whether a frame's evidence is kept; the same record always gets the same answer.

    ``sample`` is the fraction of normal frames that is kept. The broker's time and the place on the topic
    decide, which nobody can choose who writes: with ids of his choice all his frames would be kept, and
    trained on, beside a fiftieth of all others.
    """
    place = f"{record.partition.topic}/{record.partition.number}/{record.offset}/{record.timestamp_ms}"
    return verdict == "anomalous" or zlib.crc32(place.encode()) < sample * (1 << 32)


@dataclass(frozen=True, slots=True)
class EvidenceWriter:
    """Writes evidence of a line's frames into its store; ``topic_id`` is that of the topic of frames."""

    store: Store
    line: str
    topic_id: str

    def write(self, product: str, record: Record, info: PictureInfo, map_png: bytes) -> Evidence:
        """Write picture and map, and return their addresses; raises StoreUnavailable."""
        picture = record.value or b""
        name = "picture.jpg" if info.format == "jpeg" else "picture.png"
        picture_uri = self.store.put(self._key(record, name), picture, info.content_type)
        map_uri = self.store.put(self._key(record, MAP_NAME), map_png, "image/png")
        metrics.EVIDENCE_BYTES.add(len(picture), product=product, kind="picture")
        metrics.EVIDENCE_BYTES.add(len(map_png), product=product, kind="map")
        return Evidence(picture_uri, map_uri, sha256(picture))

    def _key(self, record: Record, name: str) -> str:
        place = record.partition
        return str(EvidenceKey(self.line, place.topic, self.topic_id, place.number, record.offset, name))
