"""Before Triton starts in a container: what of a model repository is served, and what is refused."""

from pathlib import Path

import pytest

from steadyline.digest import sha256
from steadyline.errors import InvalidConfiguration
from steadyline.package import CARD, MODEL, WEIGHTS, write_package
from steadyline.servers.triton_container import (
    ContainerServer,
    RepositoryReader,
    ServerIdentity,
    SignedPackages,
    mirror,
    unlike_ours,
)
from steadyline.signing import Signer, TrustedKeys
from steadyline.store import Store
from steadyline.triton import parse_config
from steadyline.triton_config import ServedShape, Serving, config_pbtxt

FILES = {MODEL: b"graph", CARD: b"{}", WEIGHTS: b"weights"}
SHAPE = ServedShape("part", 32, 1, 4, 4)


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
def keys() -> tuple[Signer, TrustedKeys]:
    signer = Signer.new()
    return signer, TrustedKeys.parse(signer.public_pem())


def read(repository: Path, packages: SignedPackages | None = None) -> tuple[dict[str, list[int]], list[str]]:
    found, refused = RepositoryReader(Store(f"file://{repository}"), packages).read()
    return {product: list(one.files) for product, one in found.items()}, refused


@pytest.mark.parametrize("accelerator", ["cpu", "gpu"])
@pytest.mark.parametrize("is_certified", [False, True])
def test_whatever_the_trainer_writes_is_served(accelerator: str, is_certified: bool) -> None:
    shape = ServedShape("part", 32, 3, 4, 4, is_certified)
    serving = Serving(accelerator="gpu" if accelerator == "gpu" else "cpu", precision="FP16")
    assert list(unlike_ours(parse_config(config_pbtxt(shape, serving)), "part")) == []


def test_both_versions_are_served_and_nothing_else_is_taken(repository: Path, tmp_path: Path) -> None:
    (repository / "part" / "1" / "model.py").write_text("import os")
    (repository / "other" / "1").mkdir(parents=True)
    (repository / "other" / "1" / "model.py").write_text("import os")
    target = tmp_path / "models"
    target.mkdir()
    found, refused = RepositoryReader(Store(f"file://{repository}")).read()
    mirror(found, target)
    assert refused == []
    assert sorted(str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()) == [
        "part/1/model.onnx",
        "part/2/model.onnx",
        "part/config.pbtxt",
    ]


def test_what_is_gone_from_the_source_goes_from_the_copy(repository: Path, tmp_path: Path) -> None:
    target = tmp_path / "models"
    (target / "old" / "1").mkdir(parents=True)
    (target / "part" / "7").mkdir(parents=True)
    (target / "part" / "7" / MODEL).write_bytes(b"old")
    found, _ = RepositoryReader(Store(f"file://{repository}")).read()
    mirror(found, target)
    assert sorted(path.name for path in target.iterdir()) == ["part"]
    assert sorted(path.name for path in (target / "part").iterdir()) == ["1", "2", "config.pbtxt"]


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ('model_warmup [ { name: "x" batch_size: 1 } ]', "model_warmup"),
        ('default_model_filename: "../../x.so"', "default_model_filename"),
        ('model_operations { op_library_filename: "x.so" }', "model_operations"),
        ('parameters { key: "EXECUTION_ENV_PATH" value { string_value: "/x" } }', "EXECUTION_ENV_PATH"),
        ('cc_model_filenames { key: "x" value: "y" }', "cc_model_filenames"),
        ('platform: "tensorflow_savedmodel"', "platform"),
    ],
)
def test_a_configuration_that_sets_more_than_ours_is_refused(repository: Path, more: str, word: str) -> None:
    config = repository / "part" / "config.pbtxt"
    config.write_text(config.read_text() + more)
    found, (problem,) = read(repository)
    assert found == {}
    assert problem.startswith("part: config.pbtxt is not one that the trainer writes")
    assert word in problem


@pytest.mark.parametrize(
    ("ours", "theirs", "word"),
    [
        ('backend: "onnxruntime"', 'backend: "python"', "backend 'python'"),
        ('name: "part"', 'name: "whole"', "name 'whole'"),
        ('backend: "onnxruntime"', "backend: ", "config.pbtxt"),
    ],
)
def test_another_backend_or_name_is_refused(repository: Path, ours: str, theirs: str, word: str) -> None:
    config = repository / "part" / "config.pbtxt"
    config.write_text(config.read_text().replace(ours, theirs))
    found, (problem,) = read(repository)
    assert found == {}
    assert word in problem


def test_an_accelerator_of_another_kind_is_refused() -> None:
    text = config_pbtxt(SHAPE, Serving(accelerator="gpu"))
    wrong = parse_config(text.replace('"tensorrt"', '"plugin"').replace("precision_mode", "library"))
    assert list(unlike_ours(wrong, "part")) == ["accelerator 'plugin'", "accelerator's parameter 'library'"]


def test_a_product_without_a_configuration_is_refused(repository: Path) -> None:
    (repository / "part" / "config.pbtxt").unlink()
    assert read(repository) == ({}, ["part: config.pbtxt is missing"])


def test_a_version_must_be_the_model_of_its_package(repository: Path, tmp_path: Path) -> None:
    store = Store(f"file://{tmp_path / 'store'}")
    write_package(store, "models/line/part/1", FILES)
    write_package(store, "models/line/part/2", {**FILES, MODEL: b"another graph"})
    found, refused = read(repository, SignedPackages(store, "line"))
    assert found == {"part": [1]}
    assert refused == ["part/2: version 2 of part is not the model of its package"]


def test_with_a_key_only_a_signed_package_counts(
    repository: Path, tmp_path: Path, keys: tuple[Signer, TrustedKeys]
) -> None:
    signer, trusted = keys
    store = Store(f"file://{tmp_path / 'store'}")
    write_package(store, "models/line/part/1", FILES, signer)
    write_package(store, "models/line/part/2", FILES)
    found, (problem,) = read(repository, SignedPackages(store, "line", trusted))
    assert found == {"part": [1]}
    assert problem.startswith("part/2: ")
    assert sha256(b"graph") == sha256(FILES[MODEL])


def test_the_server_loads_what_has_passed_and_its_repository_is_closed(tmp_path: Path) -> None:
    command = ContainerServer(
        Path("/opt/tritonserver"), tmp_path, "0.0.0.0", (1, 2, 3), "secret", ["part"]
    ).command()
    assert "--load-model=part" in command
    assert "--model-control-mode=explicit" in command
    closed = [word for word in command if "restricted" in word]
    assert len(closed) == 2
    assert all("model-repository" in word and word.endswith("admin-key=secret") for word in closed)
    assert not any("ssl" in word for word in command), "in clear, as nothing else was asked for"


def test_the_server_shows_a_certificate_and_asks_for_one_where_an_authority_is_given(tmp_path: Path) -> None:
    own, key, authority = Path("/c.pem"), Path("/k.pem"), Path("/ca.pem")

    def words(identity: ServerIdentity | None) -> list[str]:
        server = ContainerServer(Path("/t"), tmp_path, "0.0.0.0", (1, 2, 3), "s", identity=identity)
        return [word for word in server.command() if word.startswith(("--grpc-use", "--grpc-root"))]

    assert words(ServerIdentity.of(own, key, None)) == ["--grpc-use-ssl=true"]
    assert words(ServerIdentity.of(own, key, authority)) == [
        "--grpc-use-ssl-mutual=true",
        "--grpc-root-cert=/ca.pem",
    ]
    assert words(ServerIdentity.of(None, None, None)) == []


@pytest.mark.parametrize("given", [("c", None, None), (None, "k", None), (None, None, "a"), ("c", None, "a")])
def test_half_of_a_servers_identity_is_refused(given: tuple[str | None, ...]) -> None:
    certificate, key, authority = (None if name is None else Path(name) for name in given)
    with pytest.raises(InvalidConfiguration, match="--certificate and --key are needed together"):
        ServerIdentity.of(certificate, key, authority)
