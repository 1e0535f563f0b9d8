"""What a backup holds is read as it was written, and refused once a file is not as it was."""

import sqlite3
from array import array
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from steadyline.errors import ContractBroken, InvalidConfiguration
from steadyline.kafka.broker import Partition, Record
from steadyline.ops.backup.database import move_offsets
from steadyline.ops.backup.manifest import BackupManifest, KeptPartition, KeptTopic
from steadyline.ops.backup.moved import MovedOffsets
from steadyline.ops.backup.record_file import read_records, write_record
from steadyline.ops.backup.sqlite import SqliteDatabase

PLACE = Partition("t.frames.v1", 3)
RECORDS = [
    Record(PLACE, 7, b"east-1", b"\x00picture", (("a", b"1"), ("ä", b"")), 1_700_000_000_000),
    Record(PLACE, 9, None, b"", (), 0),
    Record(PLACE, 10, b"", None, (("a", b"1"), ("a", b"2")), 5),
]


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """A backup of one topic with three records."""
    folder = tmp_path / "backup"
    (folder / "topics" / "frames").mkdir(parents=True)
    with (folder / "topics" / "frames" / "3").open("wb") as file:
        for record in RECORDS:
            write_record(file, record)
    made = BackupManifest("test", "t", "2026-01-01T00:00:00+00:00")
    made.topics["frames"] = KeptTopic("t.frames.v1", "A" * 22, [KeptPartition(7, 11, 3)])
    made.groups["t.scorer"] = [("t.frames.v1", 3, 10, "A" * 22)]
    made.write(folder)
    return folder


def test_records_are_read_as_they_were_written(backup: Path) -> None:
    assert list(read_records(backup / "topics" / "frames" / "3", PLACE)) == RECORDS
    kept = BackupManifest.read(backup)
    assert kept.topics["frames"].partitions == [KeptPartition(7, 11, 3)]
    assert kept.groups == {"t.scorer": [("t.frames.v1", 3, 10, "A" * 22)]}


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_a_file_that_ends_within_a_record_is_refused(backup: Path, cut: int) -> None:
    path = backup / "topics" / "frames" / "3"
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(ContractBroken, match="ends within a record"):
        list(read_records(path, PLACE))


def _change(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"picture", b"pictura"))


def _add(path: Path) -> None:
    (path.parent / "4").write_bytes(b"")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [(_change, "was changed"), (Path.unlink, "is missing"), (_add, "is not listed")],
)
def test_a_backup_that_is_not_as_it_was_is_refused(
    backup: Path, spoil: Callable[[Path], None], told: str
) -> None:
    spoil(backup / "topics" / "frames" / "3")
    with pytest.raises(InvalidConfiguration, match=told):
        BackupManifest.read(backup)


def test_a_folder_without_a_manifest_is_no_backup(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="no whole backup"):
        BackupManifest.read(tmp_path)


def test_offsets_of_the_database_follow_the_topics(tmp_path: Path) -> None:
    source, target = tmp_path / "old.db", tmp_path / "new.db"
    with closing(sqlite3.connect(source)) as made, made:
        made.execute("PRAGMA journal_mode=WAL")
        made.execute("CREATE TABLE offsets (topic, partition, topic_id, next)")
        made.execute("CREATE TABLE line_watch (line, topic_id, positions)")
        rows = [("scores", 0, "old", 13), ("scores", 1, "older", 13), ("status", 0, "was", 8)]
        made.executemany("INSERT INTO offsets VALUES (?, ?, ?, ?)", rows)
        made.execute("""INSERT INTO line_watch VALUES ('test', 'dead', '{"0": 4}')""")
    SqliteDatabase(source).take(tmp_path)
    restored = SqliteDatabase(target)
    restored.check_free()
    restored.put_back(tmp_path)
    assert not list(tmp_path.glob("new.db-*"))
    ids = {"scores": "new", "status": "is", "letters": "alive"}
    moved = MovedOffsets(ids, {"scores": "old", "status": "was", "letters": "dead"})
    moved.packed["scores", 0] = array("q", [10, 12, 13, 15])
    move_offsets(restored, moved, "test", "letters")
    with closing(sqlite3.connect(target)) as found:
        assert found.execute("SELECT * FROM offsets").fetchall() == [
            ("scores", 0, "new", 2),
            ("scores", 1, "older", 13),  # of a topic before the one that was backed up: it counts as none
            ("status", 0, "is", 8),
        ]
        assert found.execute("SELECT topic_id, positions FROM line_watch").fetchall() == [
            ("alive", '{"0": 4}')
        ]
    with pytest.raises(InvalidConfiguration, match="is there already"):
        restored.check_free()
