"""A signed package is what its signer packed, to the byte and to the file, by whichever door it is loaded."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from typing_extensions import override

from steadyline.contracts.model_event import Package
from steadyline.errors import PackageRejected, UnsignedPackage, WrongPackageSignature
from steadyline.manifest import SUMS, SUMS_SIGNATURE
from steadyline.package import (
    FILES,
    PROVENANCE,
    Packages,
    load_package,
    read_package,
    sign_package,
    write_package,
)
from steadyline.signing import Signer, TrustedKeys
from steadyline.store import Store

OLD, NEW, STRANGER = Signer.new(), Signer.new(), Signer.new()
TRUSTED = TrustedKeys.parse(OLD.public_pem())
BOTH = TrustedKeys.parse(OLD.public_pem() + NEW.public_pem())
NAMES = (*FILES, PROVENANCE, SUMS, SUMS_SIGNATURE)

Door = Callable[[TrustedKeys], dict[str, bytes]]


class SignedLine:
    """A line with a signed package on a disk, and the two doors that lead to it."""

    def __init__(self, root: Path) -> None:
        self.store = Store(f"file://{root / 'store'}")
        self.package = self.written(OLD)
        self.folder = root / "store" / "models" / "l" / "cell" / "1"

    def written(self, signer: Signer | None, word: str = "bytes") -> Package:
        """Write version 1 of ``cell``; another ``word`` makes another package."""
        files = {name: f"{word} of {name}".encode() for name in (*FILES, PROVENANCE)}
        return Packages(self.store, "l", signer).write("cell", 1, files)

    def by_event(self, trusted: TrustedKeys = TRUSTED) -> dict[str, bytes]:
        """Load what the model event names, as the trainer does."""
        return Packages(self.store, "l", trusted=trusted).load("cell", 1, self.package)

    def by_itself(self, trusted: TrustedKeys = TRUSTED) -> dict[str, bytes]:
        """Load the folder by its own manifest, as ``evaluate`` does."""
        alone = Store(f"file://{self.folder}")
        return load_package(alone, read_package(alone, "", trusted), trusted)

    @property
    def doors(self) -> tuple[Door, Door]:
        return self.by_event, self.by_itself

    def assert_refused(self, kind: type[PackageRejected] = PackageRejected, match: str | None = None) -> None:
        """Both doors are closed."""
        for door in self.doors:
            with pytest.raises(kind, match=match):
                door(TRUSTED)


@pytest.fixture
def line(tmp_path: Path) -> SignedLine:
    return SignedLine(tmp_path)


def test_both_doors_open_for_a_package_as_it_was_signed(line: SignedLine) -> None:
    for door in line.doors:
        assert door(TRUSTED) == {name: f"bytes of {name}".encode() for name in (*FILES, PROVENANCE)}


@pytest.mark.parametrize("name", NAMES)
def test_no_byte_of_any_file_can_be_changed(line: SignedLine, name: str) -> None:
    path = line.folder / name
    whole = path.read_bytes()
    for at in range(len(whole)):
        for bits in (0x01, 0x82) if name == SUMS_SIGNATURE else (1 << at % 8,):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ bits]) + whole[at + 1 :])
            line.assert_refused()
    path.write_bytes(whole)
    line.by_event()


@pytest.mark.parametrize("name", NAMES)
def test_no_byte_can_be_added_or_taken_away(line: SignedLine, name: str) -> None:
    path = line.folder / name
    whole = path.read_bytes()
    for changed in (b"", whole[1:], whole[:-1], whole + b"\0", whole + b"\n", b"\n" + whole, whole + whole):
        path.write_bytes(changed)
        line.assert_refused()


def test_the_same_signature_cannot_be_written_in_another_way(line: SignedLine) -> None:
    """The last character of a signature has four bits that decoding drops."""
    path = line.folder / SUMS_SIGNATURE
    whole = path.read_bytes()
    for other in range(256):
        if other != whole[-3]:
            path.write_bytes(whole[:-3] + bytes([other]) + whole[-2:])
            line.assert_refused(WrongPackageSignature)


@pytest.mark.parametrize("name", [*FILES, PROVENANCE])
def test_no_file_can_be_missing(line: SignedLine, name: str) -> None:
    (line.folder / name).unlink()
    line.assert_refused(match=f"{name} is missing")


@pytest.mark.parametrize(
    "name", ["model.py", "config.pbtxt", "1", ".hidden", "model.onnx.data", "SHA256SUMS.asc"]
)
def test_no_file_can_be_added(line: SignedLine, name: str) -> None:
    (line.folder / name).write_bytes(b"x")
    line.assert_refused(match="is no file of this package")


@pytest.mark.parametrize("name", NAMES)
def test_no_file_can_be_a_link_or_a_pipe(line: SignedLine, name: str, tmp_path: Path) -> None:
    path, elsewhere = line.folder / name, tmp_path / "elsewhere"
    elsewhere.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(elsewhere)
    line.assert_refused(match="is no plain file")
    path.unlink()
    os.mkfifo(path)
    line.assert_refused(match="is no plain file")


def test_no_folder_can_be_added_or_stand_in_for_a_file(line: SignedLine) -> None:
    (line.folder / "1").mkdir()
    line.assert_refused(match="is no plain file")
    (line.folder / "1").rmdir()
    (line.folder / "model.onnx").unlink()
    (line.folder / "model.onnx").mkdir()
    line.assert_refused(match="is no plain file")


def test_the_folder_of_a_version_can_be_no_link(line: SignedLine, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    line.folder.rename(moved)
    line.folder.symlink_to(moved, target_is_directory=True)
    with pytest.raises(PackageRejected, match="is no plain file"):
        line.by_event()


def test_a_package_can_lie_nowhere_else(line: SignedLine) -> None:
    for uri in ("", "file:///etc", line.store.uri("models/l/cell/2"), line.store.uri("models/l/../l/cell/1")):
        line.package = line.package.model_copy(update={"uri": uri})
        with pytest.raises(PackageRejected, match="lies in"):
            line.by_event()


@pytest.mark.parametrize("name", ["../model.onnx", "a/b", "/etc/passwd", "..", "model onnx", "model.onnx\r"])
def test_a_manifest_names_nothing_but_the_files_of_a_package(line: SignedLine, name: str) -> None:
    sums = (line.folder / SUMS).read_bytes() + f"{'0' * 64}  {name}\n".encode()
    (line.folder / SUMS).write_bytes(sums)
    for door in line.doors:
        with pytest.raises(PackageRejected):
            door(TrustedKeys())


def test_another_package_of_the_same_signer_is_not_the_one_that_was_announced(line: SignedLine) -> None:
    announced = line.package
    line.written(OLD, "other bytes")
    line.package = announced
    with pytest.raises(PackageRejected, match="names other digests than those that were announced"):
        line.by_event()


class SwappedStore(Store):
    """A store whose writer puts another manifest in place once the first has been looked at."""

    def __init__(self, url: str, instead: bytes) -> None:
        super().__init__(url)
        self._instead, self._seen = instead, 0

    @override
    def get(self, uri_or_key: str, most_bytes: int | None = None) -> bytes:
        if uri_or_key.endswith(SUMS):
            self._seen += 1
            if self._seen > 1:
                return self._instead
        return super().get(uri_or_key, most_bytes)


def test_what_is_signed_is_the_very_manifest_that_was_checked(line: SignedLine) -> None:
    other = (line.folder / SUMS).read_bytes().replace(b"a", b"b").replace(b"1", b"2")
    before = (line.folder / SUMS_SIGNATURE).read_bytes()
    swapped = SwappedStore(line.store.url, other)
    with pytest.raises(PackageRejected):
        sign_package(swapped, line.package, NEW)
    assert (line.folder / SUMS_SIGNATURE).read_bytes() == before


def test_once_a_key_is_trusted_what_nobody_signed_is_refused_with_what_to_do(line: SignedLine) -> None:
    (line.folder / SUMS_SIGNATURE).unlink()
    line.assert_refused(UnsignedPackage, "`steadyline models sign` signs the packages that are there")
    assert UnsignedPackage.reason == "unsigned_package"
    line.written(STRANGER)
    line.assert_refused(WrongPackageSignature, f"is signed by {STRANGER.key_id}")
    for door in line.doors:
        door(TrustedKeys())


def test_a_manifest_is_due_once_a_key_is_trusted(line: SignedLine) -> None:
    (line.folder / SUMS).unlink()
    line.by_event(TrustedKeys())  # the event names the digests
    with pytest.raises(UnsignedPackage):
        line.by_event()
    with pytest.raises(PackageRejected, match="no finished model package"):
        line.by_itself()


def test_the_name_of_a_trusted_key_makes_no_signature(line: SignedLine) -> None:
    line.written(STRANGER)
    path = line.folder / SUMS_SIGNATURE
    path.write_bytes(path.read_bytes().replace(STRANGER.key_id.encode(), OLD.key_id.encode()))
    line.assert_refused(WrongPackageSignature, "is not the one that the key")


def test_keys_are_changed_with_an_overlap_in_which_either_counts(line: SignedLine) -> None:
    packages, old_only, new_only = Packages(line.store, "l"), TRUSTED, TrustedKeys.parse(NEW.public_pem())
    line.by_event(BOTH)  # 1. all readers trust both; what is there is signed by the old key
    with pytest.raises(WrongPackageSignature):
        line.by_event(new_only)
    assert packages.sign("cell", 1, line.package, NEW)  # 2. the packages are signed by the new key as well
    for trusted in (old_only, BOTH, new_only):
        line.by_event(trusted)
        line.by_itself(trusted)
    assert Packages(line.store, "l", trusted=BOTH).signers("cell", 1, line.package) == (
        NEW.key_id,
        OLD.key_id,
    )
    assert not packages.sign("cell", 1, line.package, NEW), "it has signed before"
    line.written(NEW)  # 3. the trainer signs with the new key
    line.by_event(new_only)
    with pytest.raises(WrongPackageSignature):
        line.by_event(old_only)


def test_a_broken_signature_of_one_trusted_key_is_not_made_good_by_another(line: SignedLine) -> None:
    Packages(line.store, "l").sign("cell", 1, line.package, NEW)
    path = line.folder / SUMS_SIGNATURE
    first, second = path.read_bytes().split(b"\n")
    path.write_bytes(first.replace(first[20:24], b"AAAA") + b"\n" + second)
    for door in line.doors:
        with pytest.raises(WrongPackageSignature):
            door(BOTH)


def test_eight_keys_can_sign_and_the_ninth_takes_the_place_of_the_oldest(line: SignedLine) -> None:
    packages, signers = Packages(line.store, "l"), [Signer.new() for _ in range(8)]
    for signer in signers:
        assert packages.sign("cell", 1, line.package, signer)
    newest_first = [signer.key_id for signer in reversed(signers)]
    assert list(packages.signers("cell", 1, line.package)) == newest_first
    line.by_event(TrustedKeys.parse(signers[0].public_pem()))
    line.assert_refused(WrongPackageSignature, OLD.key_id)


def test_what_was_changed_is_signed_by_nobody(line: SignedLine) -> None:
    (line.folder / "card.json").write_bytes(b"{}")
    with pytest.raises(PackageRejected, match="does not match its digest"):
        Packages(line.store, "l").sign("cell", 1, line.package, NEW)
    assert NEW.key_id.encode() not in (line.folder / SUMS_SIGNATURE).read_bytes()


def test_a_package_of_an_earlier_release_without_manifest_or_provenance_can_be_signed(
    line: SignedLine,
) -> None:
    for name in (PROVENANCE, SUMS, SUMS_SIGNATURE):
        (line.folder / name).unlink()
    digests = {name: line.package.digests[name] for name in FILES}
    line.package = line.package.model_copy(update={"digests": digests})
    assert Packages(line.store, "l").sign("cell", 1, line.package, OLD)
    assert sorted(line.by_event()) == sorted(line.by_itself()) == sorted(FILES)


def test_a_package_in_the_place_of_another_has_nothing_of_it(tmp_path: Path) -> None:
    store, files = Store(f"file://{tmp_path}"), {name: b"x" for name in (*FILES, PROVENANCE)}
    write_package(store, "out", files, OLD)
    write_package(store, "out", {name: b"y" for name in FILES})
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted([*FILES, SUMS])
