"""Nothing of a package is loaded unless every byte is what the event says."""

import tracemalloc
import uuid

import pytest

from steadyline.errors import PackageRejected, UnsignedPackage, WrongPackageSignature
from steadyline.manifest import SUMS, SUMS_SIGNATURE
from steadyline.package import FILES, load_package, read_package, write_package
from steadyline.signing import Signer, TrustedKeys
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
def test_a_package_has_its_files_and_no_other(store: Store, change: str) -> None:
    wrong = files()
    if change == "drop":
        del wrong["model.onnx"]
    else:
        wrong["model.pkl"] = b"no pickle anywhere"
    with pytest.raises(PackageRejected, match=r"model\.onnx|model\.pkl"):
        write_package(store, "models/cell/1", wrong)


def test_a_package_on_its_own_is_believed_only_with_the_signature_of_a_trusted_key(store: Store) -> None:
    signer, other = Signer.new(), Signer.new()
    trusted = TrustedKeys.parse(signer.public_pem())
    write_package(store, "signed", files(), signer)
    assert read_package(store, "signed", trusted).digests == read_package(store, "signed").digests
    write_package(store, "by-another", files(), other)
    write_package(store, "unsigned", files())
    write_package(store, "changed", files(), signer)
    sums = store.get(f"changed/{SUMS}").replace(b"a", b"b")
    store.put(f"changed/{SUMS}", sums)
    for folder, kind in (
        ("by-another", WrongPackageSignature),
        ("unsigned", UnsignedPackage),
        ("changed", WrongPackageSignature),
    ):
        with pytest.raises(kind):
            read_package(store, folder, trusted)


def test_an_unsigned_package_in_the_place_of_a_signed_one_has_no_signature(store: Store) -> None:
    signer = Signer.new()
    write_package(store, "out", files(), signer)
    write_package(store, "out", files())
    with pytest.raises(UnsignedPackage):
        read_package(store, "out", TrustedKeys.parse(signer.public_pem()))


@pytest.mark.parametrize("name", [SUMS, SUMS_SIGNATURE])
def test_of_sums_of_any_size_only_the_beginning_is_read(store: Store, name: str) -> None:
    signer = Signer.new()
    write_package(store, "out", files(), signer)
    store.put(f"out/{name}", store.get(f"out/{name}") + b" " * (64 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(PackageRejected):
            read_package(store, "out", TrustedKeys.parse(signer.public_pem()))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 1 << 20
