"""Nothing of a package is loaded unless every byte is what the event says."""

import pytest

from steadyline.errors import PackageRejected
from steadyline.package import FILES, SUMS, load_package, read_package, write_package


class FolderInMemory:
    """A store that keeps what it is given, for tests that spoil it afterwards."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def put(self, key: str, data: bytes, content_type: str) -> str:
        self.files[self.uri(key)] = data
        return self.uri(key)

    def get(self, key: str) -> bytes:
        return self.files[self.uri(key)]

    def exists(self, key: str) -> bool:
        return self.uri(key) in self.files

    def uri(self, key: str) -> str:
        return key if key.startswith("memory://") else f"memory://store/{key}".rstrip("/")


def files() -> dict[str, bytes]:
    return {name: f"bytes of {name}".encode() for name in FILES}


def test_a_package_comes_back_as_it_was_written() -> None:
    store = FolderInMemory()
    package = write_package(store, "models/cell/1", files())
    assert package.uri == "memory://store/models/cell/1"
    assert load_package(store, package) == files()


def test_a_package_on_its_own_is_read_by_its_sums() -> None:
    store = FolderInMemory()
    package = write_package(store, "", files())
    assert read_package(store, "") == package


def test_one_changed_byte_rejects_the_package_and_names_the_file() -> None:
    store = FolderInMemory()
    package = write_package(store, "models/cell/1", files())
    store.files[f"{package.uri}/weights.safetensors"] = b"bytes of weights.safetensorS"
    with pytest.raises(PackageRejected, match=r"weights\.safetensors does not match its digest"):
        load_package(store, package)


def test_a_missing_file_rejects_the_package() -> None:
    store = FolderInMemory()
    package = write_package(store, "models/cell/1", files())
    del store.files[f"{package.uri}/card.json"]
    with pytest.raises(PackageRejected, match=r"card\.json is missing"):
        load_package(store, package)


def test_a_package_whose_writing_was_cut_short_is_no_package() -> None:
    store = FolderInMemory()
    package = write_package(store, "models/cell/1", files())
    del store.files[f"{package.uri}/{SUMS}"]
    with pytest.raises(PackageRejected, match="no finished model package"):
        read_package(store, "models/cell/1")


@pytest.mark.parametrize("change", ["drop", "add"])
def test_a_package_has_its_four_files_and_no_other(change: str) -> None:
    wrong = files()
    if change == "drop":
        del wrong["model.onnx"]
    else:
        wrong["model.pkl"] = b"no pickle anywhere"
    with pytest.raises(PackageRejected, match=r"model\.onnx|model\.pkl"):
        write_package(FolderInMemory(), "models/cell/1", wrong)
