"""What every store does, on the disk and in memory."""

import subprocess
import sys
import threading
import uuid
from abc import ABC, abstractmethod
from pathlib import Path

import pytest
from typing_extensions import override

from steadyline.errors import InvalidConfiguration, StoreUnavailable
from steadyline.store import NotInStore, Store
from tests.support.s3_gateway import BUCKET, S3Gateway, fsspec_forgets


class StoreContract(ABC):
    """Inherited by one class a kind of store."""

    @pytest.fixture
    @abstractmethod
    def store(self, tmp_path: Path) -> Store: ...

    def test_what_is_put_is_got_by_key_and_by_address(self, store: Store) -> None:
        uri = store.put("evidence/c1/7.png", b"\x89PNG", "image/png")
        assert store.get("evidence/c1/7.png") == store.get(uri) == b"\x89PNG"
        assert uri == store.uri("evidence/c1/7.png")

    def test_an_object_is_replaced_whole(self, store: Store) -> None:
        store.put("a", b"a longer first version")
        store.put("a", b"short")
        assert store.get("a") == b"short"

    def test_an_empty_object_is_an_object(self, store: Store) -> None:
        store.put("a/empty", b"")
        assert store.exists("a/empty")
        assert store.get("a/empty") == b""

    def test_what_was_never_put_is_said_to_be_missing(self, store: Store) -> None:
        assert not store.exists("models/cell/1/card.json")
        with pytest.raises(NotInStore):
            store.get("models/cell/1/card.json")

    def test_keys_below_a_folder_are_listed_in_order(self, store: Store) -> None:
        for key in ("m/cell/2/b", "m/cell/1/a", "m/celling/1/a", "n/x"):
            store.put(key, b"1")
        assert store.list("m/cell") == ["m/cell/1/a", "m/cell/2/b"]
        assert store.list("nothing/here") == []

    def test_what_lies_directly_in_a_folder_is_told_with_its_kind(self, store: Store) -> None:
        for key in ("m/cell/1/a", "m/cell/1/b", "m/cell/1/deeper/c", "m/cell/10/a", "top"):
            store.put(key, b"1")
        assert store.kinds("m/cell/1") == {"a": "file", "b": "file", "deeper": "directory"}
        assert store.kinds("") == {"m": "directory", "top": "file"}
        assert store.kinds("nothing/here") == {}
        store.put("m/cell/1/d", b"1")
        assert store.kinds("m/cell/1")["d"] == "file", "what was just written is seen"

    def test_a_folder_is_deleted_with_all_below_and_nothing_beside(self, store: Store) -> None:
        for key in ("m/cell/1/a", "m/cell/1/b", "m/cell/10/a"):
            store.put(key, b"1")
        store.delete("m/cell/1")
        assert store.list("m") == ["m/cell/10/a"]

    def test_one_object_is_deleted_and_doing_so_twice_is_fine(self, store: Store) -> None:
        store.put("a/b", b"1")
        store.delete("a/b")
        store.delete("a/b")
        assert not store.exists("a/b")

    @pytest.mark.parametrize(
        "key", ["", "/etc/passwd", "../outside", "a/../../b", "a//b", "a/.", "a/*", "a\0"]
    )
    def test_a_key_cannot_lead_outside_or_match_others(self, store: Store, key: str) -> None:
        with pytest.raises(ValueError, match="no key of the store"):
            store.put(key, b"1")
        with pytest.raises(ValueError, match="no key of the store"):
            store.delete(key)

    def test_an_address_of_another_store_is_not_in_this_one(self, store: Store) -> None:
        with pytest.raises(NotInStore, match="is not in the store"):
            store.get("file:///somewhere/else/a")

    def test_a_reader_sees_one_version_or_the_other(self, store: Store) -> None:
        versions = [bytes([n]) * 200_000 for n in (1, 2)]
        store.put("a", versions[0])
        stop = threading.Event()

        def write() -> None:
            turn = 0
            while not stop.is_set():
                turn += 1
                store.put("a", versions[turn % 2])

        writer = threading.Thread(target=write)
        writer.start()
        try:
            seen = [store.get("a") for _ in range(200)]
        finally:
            stop.set()
            writer.join()
        assert set(seen) <= set(versions)


class TestMemoryStore(StoreContract):
    @override
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return Store(f"memory://{uuid.uuid4().hex}")


class TestFileStore(StoreContract):
    @override
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return Store(f"file://{tmp_path}/store")

    def test_a_store_that_cannot_be_written_is_unavailable(self, store: Store) -> None:
        store.put("a", b"1")
        with pytest.raises(StoreUnavailable, match="a/b cannot be written"):
            store.put("a/b", b"1")  # "a" is a file, so it cannot hold anything

    def test_a_folder_is_no_object(self, store: Store) -> None:
        store.put("a/b", b"1")
        with pytest.raises(NotInStore):
            store.get("a")

    def test_a_full_disk_leaves_the_old_object_and_nothing_half_written(self, tmp_path: Path) -> None:
        program = f"""
import resource
from steadyline.errors import StoreUnavailable
from steadyline.store import Store
store = Store("file://{tmp_path}")
store.put("a", b"old")
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    store.put("a", bytes(5000))
except StoreUnavailable as error:
    print(error.reason, store.get("a"))
"""
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
        assert done.stdout == "store_unavailable b'old'\n", done.stderr
        assert [path.name for path in tmp_path.iterdir()] == ["a"]

    def test_a_half_written_object_of_a_killed_process_is_not_listed(
        self, store: Store, tmp_path: Path
    ) -> None:
        store.put("a/b", b"1")
        (tmp_path / "store/a/.half-0-c").write_bytes(b"half")
        assert store.list("a") == ["a/b"]


class TestObjectStore(StoreContract):
    @override
    @pytest.fixture
    def store(self, gateway: S3Gateway, monkeypatch: pytest.MonkeyPatch) -> Store:
        for name, value in gateway.environment().items():
            monkeypatch.setenv(name, value)
        fsspec_forgets()
        return Store(f"s3://{BUCKET}/{uuid.uuid4().hex}")


@pytest.mark.parametrize("url", ["nonsense://x", "s4://bucket"])
def test_an_unknown_kind_of_store_is_refused_by_name(url: str) -> None:
    with pytest.raises(InvalidConfiguration, match=url):
        Store(url)


def test_an_object_store_that_does_not_answer_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("s3fs", reason="the s3 extra is not installed")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "x")
    fsspec_forgets()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(StoreUnavailable, match="s3://bucket/x/a cannot be read"):
        Store("s3://bucket/x").get("a")
