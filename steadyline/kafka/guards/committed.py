"""What a group keeps beside each committed offset: the id of the topic that it counts on, and a note."""

import re
from dataclasses import dataclass

_TOPIC_ID = re.compile(r"[A-Za-z0-9_-]{22}")


@dataclass(frozen=True, slots=True)
class CommittedNote:
    """The text beside an offset; without a topic id it was committed by somebody else, or long ago."""

    topic_id: str = ""
    note: str = ""

    def encode(self) -> str:
        """Return the text."""
        return f"{self.topic_id} {self.note}".rstrip()

    @staticmethod
    def decode(text: str | None) -> "CommittedNote":
        """Return what a text says; what is not ours says nothing."""
        topic_id, _, note = (text or "").partition(" ")
        return CommittedNote(topic_id, note) if _TOPIC_ID.fullmatch(topic_id) else CommittedNote()
