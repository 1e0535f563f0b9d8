"""Takes a backup of a line that stands still."""

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from steadyline.errors import ContractBroken, InvalidConfiguration
from steadyline.kafka.broker import Broker, Partition
from steadyline.kafka.client.restorer import KafkaRestorer
from steadyline.line import Line
from steadyline.ops.backup.database import LineDatabase
from steadyline.ops.backup.manifest import BackupManifest, KeptPartition, KeptTopic
from steadyline.ops.backup.record_file import write_record
from steadyline.ops.backup.tree import Tell, take_folder, take_store
from steadyline.store import Store

# The answers to commands name them by the topic's id, so a trainer would obey them all again.
LEFT_OUT = "model_commands"


@dataclass(frozen=True, slots=True)
class BackupParts:
    """What belongs to a line beside its topics and store: groups, the database, folders by a name."""

    groups: Sequence[str]
    database: LineDatabase | None = None
    folders: Mapping[str, Path] = field(default_factory=dict)
    without_frames: bool = False


def check_still(kafka: KafkaRestorer, groups: Sequence[str]) -> None:
    """Raise InvalidConfiguration while a group of the line has members."""
    for group in groups:
        count = kafka.live_members(group)
        if count:
            raise InvalidConfiguration(
                f"group {group} has {count} live members: stop producers, scorers, trainer and alerts first"
            )


class BackupTaker:
    """Writes a line to ``out``, which does not exist yet; readers of ``out`` are its owner alone."""

    def __init__(self, line: Line, broker: Broker, kafka: KafkaRestorer, tell: Tell) -> None:
        self._line, self._broker, self._kafka, self._tell = line, broker, kafka, tell
        self._topics = line.kafka_topics()

    def take(self, out: Path, parts: BackupParts, now: datetime) -> BackupManifest:
        """Write everything, the manifest last; raises InvalidConfiguration while something runs."""
        check_still(self._kafka, parts.groups)
        if out.exists():
            raise InvalidConfiguration(f"{out} is there already: name a folder that is not")
        os.makedirs(out, mode=0o700)
        names = [topic.name for topic in self._topics]
        ends = self._broker.end_offsets(names)
        made = BackupManifest(self._line.line, self._line.topics.prefix, now.isoformat())
        made.without_frames = parts.without_frames
        for group in parts.groups:
            kept = self._kafka.positions(group)
            made.groups[group] = [(at.topic, at.number, *place) for at, place in sorted(kept.items())]
        self._take_topics(made, out, ends)
        take_store(
            Store(self._line.store, may_be_clear=self._line.store_in_clear),
            self._line.line,
            out / "store",
            self._tell,
        )
        for name, path in parts.folders.items():
            take_folder(path, out / "folders" / name)
            made.folders.append(name)
        if parts.database is not None:
            parts.database.take(out)
            made.has_database = True
        check_still(self._kafka, parts.groups)
        if self._broker.end_offsets(names) != ends:
            raise ContractBroken(
                f"the topics grew meanwhile, so {out} is no backup: stop all services and commands of the "
                "line, remove that folder, and begin again"
            )
        made.write(out)
        return made

    def _take_topics(self, made: BackupManifest, out: Path, ends: Mapping[Partition, int]) -> None:
        ids = self._broker.topic_ids([topic.name for topic in self._topics])
        starts = self._broker.start_offsets(list(ids))
        for field_name, topic in self._topics.by_field().items():
            if field_name == LEFT_OUT:
                continue
            is_kept = not (made.without_frames and field_name == "frames")
            places = [at for at in sorted(ends) if at.topic == topic.name]
            counts = self._take_records(out / "topics" / field_name, places, is_kept)
            partitions = [KeptPartition(starts[at], ends[at], counts[at]) for at in places]
            made.topics[field_name] = KeptTopic(topic.name, ids[topic.name], partitions)
            self._tell(f"{topic.name}: {sum(counts.values())} records")

    def _take_records(self, folder: Path, places: list[Partition], is_kept: bool) -> dict[Partition, int]:
        counts = dict.fromkeys(places, 0)
        folder.mkdir(parents=True)
        reader = self._broker.reader("steadyline-backup")
        with ExitStack() as opened:
            opened.callback(reader.close)
            files = {at: opened.enter_context((folder / f"{at.number}").open("wb")) for at in places}
            for record in reader.read(places[0].topic) if is_kept else ():
                if record.cut_from is not None:
                    continue  # more headers than any record of ours has: whoever reads it refuses it
                write_record(files[record.partition], record)
                counts[record.partition] += 1
        return counts
