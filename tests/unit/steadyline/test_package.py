"""Nothing of a package is loaded unless every byte is what the event says."""

import uuid

import pytest

from steadyline.errors import PackageRejected
from steadyline.package import FILES, SUMS, load_package, read_package, write_package
from steadyline.store import Store


@pytest.fixture
def store() -> Store:
    return Store(f"memory://{uuid.uuid4().hex}")


def files() -> dict[str, bytes]:
    return {name: f"bytes of {name}".encode() for name in FILES}


def test_a_package_comes_back_as_it_was_written(store: Store) -> None:
    package = write_package(store, "models/cell/1", files())
    assert package.uri == store.uri("models/cell/1")
    assert load_package(store, package) == files()


def test_a_package_on_its_own_is_read_by_its_sums(store: Store) -> None:
    package = write_package(store, "out", files())
    alone = Store(store.uri("out"))
    assert load_package(alone, read_package(alone, "")) == files()
    assert read_package(store, "out") == package


def test_one_changed_byte_rejects_the_package_and_names_the_file(store: Store) -> None:
    package = write_package(store, "models/cell/1", files())
    store.put("models/cell/1/weights.safetensors", b"bytes of weights.safetensorS")
    with pytest.raises(PackageRejected, match=r"weights\.safetensors does not match its digest"):
        load_package(store, package)


def test_a_missing_file_rejects_the_package(store: Store) -> None:
    package = write_package(store, "models/cell/1", files())
    store.delete("models/cell/1/card.json")
    with pytest.raises(PackageRejected, match=r"card\.json is missing"):
        load_package(store, package)


def test_a_package_whose_writing_was_cut_short_is_no_package(store: Store) -> None:
    write_package(store, "models/cell/1", files())
    store.delete(f"models/cell/1/{SUMS}")
    with pytest.raises(PackageRejected, match="no finished model package"):
        read_package(store, "models/cell/1")


@pytest.mark.parametrize("change", ["drop", "add"])
def test_a_package_has_its_four_files_and_no_other(store: Store, change: str) -> None:
    wrong = files()
    if change == "drop":
        del wrong["model.onnx"]
    else:
        wrong["model.pkl"] = b"no pickle anywhere"
    with pytest.raises(PackageRejected, match=r"model\.onnx|model\.pkl"):
        write_package(store, "models/cell/1", wrong)
