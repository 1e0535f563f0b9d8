"""Before Triton starts in a container: what of a model repository is served, and what is refused."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from typing_extensions import override

from steadyline.digest import sha256
from steadyline.grid import Grid
from steadyline.package import CARD, MODEL, WEIGHTS, read_card, write_card, write_package
from steadyline.servers.served_repository import RepositoryReader, SignedPackages
from steadyline.signing import Signer, TrustedKeys
from steadyline.store import Store
from steadyline.triton_config import ServedShape, Serving, config_pbtxt

SHAPE = ServedShape("part", Grid.square(32), 1, 4, 4)
OF_0_1 = Path(__file__).resolve().parents[3] / "data" / "package-of-0.1" / CARD


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two versions of a product, as a trainer leaves them."""
    folder = tmp_path / "repository"
    for version in (1, 2):
        (folder / "part" / str(version)).mkdir(parents=True)
        (folder / "part" / str(version) / MODEL).write_bytes(b"graph")
    (folder / "part" / "config.pbtxt").write_text(config_pbtxt(SHAPE, Serving()))
    (folder / "part" / ".fence").write_text("3")
    return folder


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(f"file://{tmp_path / 'store'}")


@pytest.fixture
def keys() -> tuple[Signer, TrustedKeys]:
    signer = Signer.new()
    return signer, TrustedKeys.parse(signer.public_pem())


def package(product: str, version: int, graph: bytes = b"graph", line: str = "") -> dict[str, bytes]:
    card = read_card({CARD: OF_0_1.read_bytes()})
    text = write_card(card.model_copy(update={"line": line, "product": product, "version": version}))
    return {MODEL: graph, CARD: text, WEIGHTS: b"weights"}


def reader(repository: Path, packages: SignedPackages | None = None) -> RepositoryReader:
    return RepositoryReader(Store(f"file://{repository}"), packages)


def read(repository: Path, packages: SignedPackages | None = None) -> tuple[dict[str, list[int]], list[str]]:
    found, refused = reader(repository, packages).read()
    return {product: list(one.digests) for product, one in found.items()}, refused


def files_of(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_both_versions_are_served_and_their_files_alone_are_copied(repository: Path, target: Path) -> None:
    found, refused = reader(repository).read()
    assert refused == []
    assert found["part"].digests == {1: sha256(b"graph"), 2: sha256(b"graph")}
    assert reader(repository).copy(found, target) == (found, [])
    assert files_of(target) == ["part/1/model.onnx", "part/2/model.onnx", "part/config.pbtxt"]


def test_what_a_trainer_that_was_cut_short_has_left_keeps_nothing_out(repository: Path) -> None:
    (repository / "part" / ".tmp3").mkdir()
    (repository / "part" / ".gone1").mkdir()
    (repository / "part" / ".config.pbtxt.partial").write_text("name:")
    (repository / "part" / ".aside3").write_bytes(b"graph")  # whose place version 1 or 2 has taken
    (repository / "lost+found").mkdir(mode=0o000)
    (repository / "coming").mkdir()
    (repository / "coming" / ".fence").write_text("1")
    assert read(repository) == ({"part": [1, 2]}, [])


def a_library(product: Path) -> None:
    (product / "libtriton_onnxruntime.so").write_bytes(b"\x7fELF")


def a_link_in_the_place_of_what_lies_aside(product: Path) -> None:
    (product / ".aside3").symlink_to(product / "1" / MODEL)


def a_folder_in_a_file_s_place(product: Path) -> None:
    (product / "9" / MODEL).mkdir(parents=True)


def a_version_that_is_a_link(product: Path) -> None:
    (product / "8").symlink_to(product / "1")


def a_model_that_is_a_link(product: Path) -> None:
    (product / "1" / MODEL).unlink()
    (product / "1" / MODEL).symlink_to(product / "2" / MODEL)


def code_in_a_version(product: Path) -> None:
    (product / "1" / "model.py").write_text("import os")


def code_beside(product: Path) -> None:
    (product / "model.py").write_text("import os")


def a_configuration_that_is_a_link(product: Path) -> None:
    (product / "config.pbtxt").rename(product.parent / "elsewhere")
    (product / "config.pbtxt").symlink_to(product.parent / "elsewhere")


def a_pipe(product: Path) -> None:
    (product / "1" / MODEL).unlink()
    os.mkfifo(product / "1" / MODEL)


def a_second_name_of_a_version(product: Path) -> None:
    (product / "1").rename(product / "01")


def a_folder_of_configurations(product: Path) -> None:
    (product / "configs").mkdir()


def a_number_that_is_none(product: Path) -> None:
    (product / "²").mkdir()


def a_version_beyond_any(product: Path) -> None:
    (product / "1").rename(product / "9999999999")


@pytest.mark.parametrize(
    ("hostile", "told"),
    [
        (a_library, "'libtriton_onnxruntime.so' in its folder is not the trainer's (file)"),
        (a_link_in_the_place_of_what_lies_aside, "'.aside3' in its folder is not the trainer's (other)"),
        (a_folder_in_a_file_s_place, "9 holds 'model.onnx' (directory)"),
        (a_version_that_is_a_link, "'8' in its folder is not the trainer's (other)"),
        (a_model_that_is_a_link, "1 holds 'model.onnx' (other)"),
        (code_in_a_version, "1 holds 'model.py' (file)"),
        (code_beside, "'model.py' in its folder is not the trainer's (file)"),
        (a_configuration_that_is_a_link, "'config.pbtxt' in its folder is not the trainer's (other)"),
        (a_pipe, "1 holds 'model.onnx' (other)"),
        (a_second_name_of_a_version, "'01' in its folder is not the trainer's (directory)"),
        (a_folder_of_configurations, "'configs' in its folder is not the trainer's (directory)"),
        (a_number_that_is_none, "'²' in its folder is not the trainer's (directory)"),
        (a_version_beyond_any, "'9999999999' in its folder is not the trainer's (directory)"),
    ],
)
def test_a_product_with_anything_else_in_its_folder_is_refused(
    repository: Path, hostile: Callable[[Path], None], told: str
) -> None:
    hostile(repository / "part")
    found, refused = read(repository)
    assert found == {}
    assert [row for row in refused if row.startswith(f"part: {told}")], refused


@pytest.mark.parametrize("name", ["a[x]", "*", "PART", ".part", "part\x1b[31m", "x y"])
def test_a_folder_with_another_name_is_refused_and_keeps_no_product_out(repository: Path, name: str) -> None:
    (repository / name / "1").mkdir(parents=True)
    (repository / name / "1" / MODEL).write_bytes(b"graph")
    found, (problem,) = read(repository)
    assert found == {"part": [1, 2]}
    assert problem.startswith(f"{name!r}: it is no plain folder")


def test_a_product_that_is_a_link_is_refused(repository: Path) -> None:
    (repository / "other").symlink_to(repository / "part")
    found, (problem,) = read(repository)
    assert found == {"part": [1, 2]}
    assert problem.startswith("'other': it is no plain folder")


def test_what_we_may_not_read_is_refused_and_keeps_no_product_out(repository: Path) -> None:
    class ClosedStore(Store):
        """A disk on which one folder is another user's; root, who may run this, can read everything."""

        @override
        def kinds(self, folder: str) -> dict[str, str]:
            if folder == "shut":
                return self._within("shut cannot be listed", refuse)
            return super().kinds(folder)

    def refuse() -> dict[str, str]:
        raise PermissionError(13, "Permission denied")

    (repository / "shut" / "1").mkdir(parents=True)
    found, (problem,) = RepositoryReader(ClosedStore(f"file://{repository}")).read()
    assert list(found) == ["part"]
    assert problem.startswith("shut: shut cannot be listed")


def test_a_file_beyond_the_limit_is_refused_and_not_cut(repository: Path) -> None:
    (repository / "part" / "2" / MODEL).write_bytes(b"graph and more")
    found, refused = RepositoryReader(Store(f"file://{repository}"), most_bytes=5).read()
    assert list(found["part"].digests) == [1]
    assert refused == ["part/2: model.onnx is larger than 5 bytes"]


def test_a_product_without_a_configuration_is_refused(repository: Path) -> None:
    (repository / "part" / "config.pbtxt").unlink()
    assert read(repository) == ({}, ["part: config.pbtxt is missing"])


def test_a_configuration_that_the_trainer_does_not_write_refuses_its_product(repository: Path) -> None:
    config = repository / "part" / "config.pbtxt"
    text = config.read_text()
    config.write_text(text.replace("onnxruntime", "python"))
    assert read(repository) == (
        {},
        ["part: config.pbtxt is not one that the trainer writes: backend 'python'"],
    )
    config.write_text(text.replace('backend: "onnxruntime"', "backend: "))
    found, (problem,) = read(repository)
    assert found == {}
    assert problem.startswith("part: config.pbtxt: ")
    config.write_text(text + " " * (64 << 10))
    assert read(repository) == ({}, ["part: config.pbtxt is larger than 65536 bytes"])


def test_what_is_gone_from_the_source_goes_from_the_copy(repository: Path, target: Path) -> None:
    (target / "old" / "1").mkdir(parents=True)
    (target / "part" / "7").mkdir(parents=True)
    (target / "part" / "7" / MODEL).write_bytes(b"old")
    (target / "part" / "1" / MODEL).mkdir(parents=True)
    (target / "part" / "libtriton_onnxruntime.so").write_bytes(b"old")
    (target / "elsewhere").symlink_to(repository)
    found, _ = reader(repository).read()
    reader(repository).copy(found, target)
    assert files_of(target) == ["part/1/model.onnx", "part/2/model.onnx", "part/config.pbtxt"]
    assert read(repository) == ({"part": [1, 2]}, []), "nothing behind a link is touched"


def test_what_was_changed_after_it_was_checked_is_not_copied(repository: Path, target: Path) -> None:
    found, _ = reader(repository).read()
    (repository / "part" / "1" / MODEL).write_bytes(b"other graph")
    copied, refused = reader(repository).copy(found, target)
    assert list(copied["part"].digests) == [2]
    assert refused == ["part/1: it was changed while it was read"]
    assert files_of(target) == ["part/2/model.onnx", "part/config.pbtxt"]


def test_a_version_must_be_the_model_of_its_package(repository: Path, store: Store) -> None:
    write_package(store, "models/line/part/1", package("part", 1))
    write_package(store, "models/line/part/2", package("part", 2, b"another graph"))
    found, refused = read(repository, SignedPackages(store, "line"))
    assert found == {"part": [1]}
    assert refused == ["part/2: version 2 of part is not the model of its package"]


def test_with_a_key_only_a_signed_package_counts(
    repository: Path, store: Store, keys: tuple[Signer, TrustedKeys]
) -> None:
    signer, trusted = keys
    write_package(store, "models/line/part/1", package("part", 1), signer)
    write_package(store, "models/line/part/2", package("part", 2))
    found, (problem,) = read(repository, SignedPackages(store, "line", trusted))
    assert found == {"part": [1]}
    assert problem.startswith("part/2: ")


def test_a_signed_package_of_another_line_does_not_count(
    repository: Path, store: Store, keys: tuple[Signer, TrustedKeys]
) -> None:
    signer, trusted = keys
    write_package(store, "models/line/part/1", package("part", 1, line="other"), signer)
    write_package(store, "models/line/part/2", package("part", 2, line="line"), signer)
    found, refused = read(repository, SignedPackages(store, "line", trusted))
    assert found == {"part": [2]}
    assert refused == [
        "part/1: the package of version 1 of part is that of version 1 of 'part' of the line 'other'"
    ]


def test_a_signed_package_in_another_s_place_does_not_count(
    repository: Path, store: Store, keys: tuple[Signer, TrustedKeys]
) -> None:
    signer, trusted = keys
    write_package(store, "models/line/part/1", package("other", 1), signer)
    write_package(store, "models/line/part/2", package("part", 1), signer)
    found, refused = read(repository, SignedPackages(store, "line", trusted))
    assert found == {}
    assert refused == [
        "part/1: the package of version 1 of part is that of version 1 of 'other'",
        "part/2: the package of version 2 of part is that of version 1 of 'part'",
    ]


def test_a_card_that_was_changed_does_not_count(
    repository: Path, store: Store, keys: tuple[Signer, TrustedKeys]
) -> None:
    signer, trusted = keys
    for version in (1, 2):
        write_package(store, f"models/line/part/{version}", package("other", version), signer)
    store.put(f"models/line/part/1/{CARD}", package("part", 1)[CARD])
    store.delete(f"models/line/part/2/{CARD}")
    found, refused = read(repository, SignedPackages(store, "line", trusted))
    assert found == {}
    assert refused[0].endswith("card.json does not match its digest")
    assert refused[1].endswith("card.json is missing")
