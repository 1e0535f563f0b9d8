"""Restores a backup of a line to a Kafka, a store and folders that hold nothing of it."""

from array import array
from collections.abc import Iterator
from pathlib import Path

from steadyline.errors import ContractBroken, InvalidConfiguration
from steadyline.kafka.broker import Broker, Partition, Record
from steadyline.kafka.client.restorer import KafkaRestorer
from steadyline.kafka.guards.committed import CommittedNote
from steadyline.line import Line
from steadyline.ops.backup.database import move_offsets
from steadyline.ops.backup.manifest import BackupManifest, KeptTopic
from steadyline.ops.backup.moved import MovedOffsets
from steadyline.ops.backup.partition import put_back_at_offsets
from steadyline.ops.backup.record_file import read_records
from steadyline.ops.backup.sqlite import SqliteDatabase
from steadyline.ops.backup.take import BackupParts, check_still
from steadyline.ops.backup.tree import Tell, check_empty, keys_of_line, put_back_folder, put_back_store
from steadyline.store import Store

# Each transaction of a scorer leaves a marker, and nobody names a score by its offset: they move together.
PACKED = "scores"


class BackupRestorer:
    """Restores ``source``; it changes nothing unless all of it can be restored."""

    def __init__(self, line: Line, broker: Broker, kafka: KafkaRestorer, tell: Tell) -> None:
        self._line, self._broker, self._kafka, self._tell = line, broker, kafka, tell
        self._topics = line.kafka_topics()

    def restore(self, source: Path, parts: BackupParts) -> BackupManifest:
        """Check everything, then write everything; raises InvalidConfiguration."""
        kept = BackupManifest.read(source)
        self._check(kept, parts)
        _check_database(kept, source, parts)
        topics = self._topics.by_field()
        for name, target in parts.folders.items():
            put_back_folder(source / "folders" / name, target)
        put_back_store(
            Store(self._line.store, may_be_clear=self._line.store_in_clear), source / "store", self._tell
        )
        self._broker.create_topics(list(self._topics))
        self._check_no_records()
        names = [topic.name for topic in self._topics]
        former = {topic.name: topic.topic_id for topic in kept.topics.values()}
        moved = MovedOffsets(self._broker.topic_ids(names), former)
        self._kafka.open_topics(names)
        try:
            for field_name, topic in kept.topics.items():
                self._put_back_topic(source / "topics" / field_name, topic, field_name == PACKED, moved)
        finally:
            self._broker.mend_topics(list(self._topics))
        for group, rows in kept.groups.items():
            self._put_back_group(group, rows, moved)
        if parts.database is not None:
            parts.database.put_back(source)
            move_offsets(parts.database, moved, kept.line, topics["dead_letters"].name)
        return kept

    def _check(self, kept: BackupManifest, parts: BackupParts) -> None:
        """Refuse what could not be restored whole, before anything is written."""
        if (kept.line, kept.prefix) != (self._line.line, self._line.topics.prefix):
            raise InvalidConfiguration(
                f"the backup is of line {kept.line} with topics {kept.prefix}.…, and the line file is not: "
                "restore it with its own line and prefix"
            )
        for field_name, topic in kept.topics.items():
            count = self._topics.by_field()[field_name].partitions
            if len(topic.partitions) != count:
                raise InvalidConfiguration(
                    f"{topic.name} had {len(topic.partitions)} partitions, and the line file says {count}"
                )
        if set(kept.folders) != set(parts.folders):
            told = ", ".join(kept.folders) or "none"
            raise InvalidConfiguration(f"the backup holds the folders {told}: name each with --folder")
        for target in parts.folders.values():
            check_empty(target)
        if keys_of_line(Store(self._line.store, may_be_clear=self._line.store_in_clear), kept.line):
            raise InvalidConfiguration(f"{self._line.store} holds files of line {kept.line} already")
        check_still(self._kafka, list(kept.groups))
        self._check_no_records()

    def _check_no_records(self) -> None:
        there = self._broker.topic_ids([topic.name for topic in self._topics])
        for at, end in self._broker.end_offsets(list(there)).items():
            if end:
                raise InvalidConfiguration(
                    f"{at.topic} holds or held records: a backup is restored to new topics only"
                )

    def _put_back_topic(self, folder: Path, topic: KeptTopic, is_packed: bool, moved: MovedOffsets) -> None:
        for number, kept in enumerate(topic.partitions):
            at = Partition(topic.name, number)
            records = read_records(folder / str(number), at)
            if is_packed:
                offsets = moved.packed[topic.name, number] = array("q")
                self._kafka.write(_noting(records, offsets))
                self._kafka.settle()
            else:
                put_back_at_offsets(self._kafka, at, records, kept.end)
        ends = self._broker.end_offsets([topic.name])
        for number, kept in enumerate(topic.partitions):
            expected = kept.records if is_packed else kept.end
            if ends[Partition(topic.name, number)] != expected:
                raise ContractBroken(
                    f"{topic.name} ends at {ends[Partition(topic.name, number)]} in partition {number} and "
                    f"not at {expected}: somebody else writes to it; remove the topics and begin again"
                )
        self._tell(f"{topic.name}: {sum(kept.records for kept in topic.partitions)} records")

    def _put_back_group(self, group: str, rows: list[tuple[str, int, int, str]], moved: MovedOffsets) -> None:
        positions = {}
        for topic, number, offset, text in rows:
            note = CommittedNote.decode(text)
            if not moved.is_former(topic, note.topic_id or moved.former.get(topic, "")):
                continue  # of a topic before the one that was backed up, or of another line
            new = CommittedNote(moved.ids[topic], note.note).encode()
            positions[Partition(topic, number)] = moved.offset(topic, number, offset), new
        if positions:
            self._kafka.commit(group, positions)
        self._tell(f"group {group}: {len(positions)} positions")


def _check_database(kept: BackupManifest, source: Path, parts: BackupParts) -> None:
    """Refuse a database where there is none, one of another kind, and a place where something is."""
    database = parts.database
    if not kept.has_database:
        if database is not None:
            raise InvalidConfiguration("the backup holds no database: leave the option of the database out")
    elif database is None or not (source / database.NAME).is_file():
        is_file = (source / SqliteDatabase.NAME).is_file()
        told = "a file of SQLite: say where with --database" if is_file else "PostgreSQL's: say --postgresql"
        raise InvalidConfiguration(f"the backup holds a database, {told}")
    else:
        database.check_free()


def _noting(records: Iterator[Record], offsets: "array[int]") -> Iterator[Record]:
    for record in records:
        offsets.append(record.offset)
        yield record
