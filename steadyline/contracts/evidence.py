"""Where the evidence of a frame lies in the store: the one rule that scorer, trainer and people go by.

A key names the line, the topic, the topic's own id and the frame's place on it: lines that share a store do
not write over each other's evidence, nor does a topic that was made anew, whose offsets begin at 0 again.
Whatever else is kept in a store goes by the same rule: first what it is, then whose line it is of.
"""

import re
from dataclasses import dataclass

from typing_extensions import override

from steadyline.contracts.frame import NAME
from steadyline.contracts.score import Score
from steadyline.contracts.topics import Topics
from steadyline.errors import MalformedMessage

PICTURE_NAMES = ("picture.jpg", "picture.png")  # the frame as it came
MAP_NAME = "map.png"

_TOPIC = re.compile(r"(?!\.\.?$)[A-Za-z0-9._-]{1,249}")
_TOPIC_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class EvidenceKey:
    """``evidence/<line>/<topic>/<topic id>/<partition>/<offset>/<name>``: one file of one frame's evidence.

    ``topic_id`` is what ``Broker.topic_ids`` says of the topic of frames; ``name`` is ``MAP_NAME`` or one of
    ``PICTURE_NAMES``. A frame that is scored again has the same key.
    """

    line: str
    topic: str
    topic_id: str
    partition: int
    offset: int
    name: str

    @override
    def __str__(self) -> str:
        return f"evidence/{self.line}/{self.topic}/{self.topic_id}/{self.partition}/{self.offset}/{self.name}"

    @staticmethod
    def parse(text: str) -> "EvidenceKey":
        """Return the key that ``text`` is, to the letter; raises MalformedMessage when it is none."""
        parts = text.split("/")
        if len(parts) == 7 and parts[0] == "evidence":
            _, line, topic, topic_id, partition, offset, name = parts
            names = NAME.fullmatch(line) and _TOPIC.fullmatch(topic) and _TOPIC_ID.fullmatch(topic_id)
            numbers = _NUMBER.fullmatch(partition) and _NUMBER.fullmatch(offset)
            if names and numbers and name in (*PICTURE_NAMES, MAP_NAME):
                return EvidenceKey(line, topic, topic_id, int(partition), int(offset), name)
        raise MalformedMessage(
            f"{text[:200]!r} is no key of evidence (evidence/line/topic/topic id/partition/offset/name)"
        )


def is_evidence_of(key: EvidenceKey, line: str, topics: Topics) -> bool:
    """Tell whether a key is of a line's evidence, and not of another line or topic with the same store."""
    return (key.line, key.topic) == (line, topics.frames.name)


def is_picture_of(score: Score, key: str, line: str, topics: Topics) -> bool:
    """Tell whether a key is, to the letter, that of the picture of the frame that a score names.

    A frame may have been scored before its topic was made anew, so the topic's id is not looked at.
    """
    try:
        found = EvidenceKey.parse(key)
    except MalformedMessage:
        return False
    own = (line, topics.frames.name, score.source_partition, score.source_offset)
    return (found.line, found.topic, found.partition, found.offset) == own and found.name in PICTURE_NAMES
