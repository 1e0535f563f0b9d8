"""Triton as the one process of a container: the repository is mirrored and checked, then it is started."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steadyline.digest import sha256
from steadyline.errors import InvalidConfiguration, PackageRejected
from steadyline.package import MODEL, read_package
from steadyline.replace_file import replace_file
from steadyline.servers.triton import CLOSED, KEY_HEADER
from steadyline.signing import NO_KEYS, TrustedKeys
from steadyline.store import NotInStore, Store
from steadyline.triton import parse_config

CONFIG = "config.pbtxt"
BACKENDS = ("onnxruntime",)
# What our own configurations set, and nothing else: a parameter may name a program or a library to load.
PARAMETERS = ("intra_op_thread_count", "inter_op_thread_count", "session.intra_op.allow_spinning")
ACCELERATORS = ("tensorrt",)
ACCELERATOR_PARAMETERS = (
    *("precision_mode", "max_workspace_size_bytes", "trt_engine_cache_enable", "trt_engine_cache_path"),
)
MOST_MODEL_BYTES, MOST_CONFIG_BYTES = 1 << 30, 64 << 10


@dataclass(frozen=True, slots=True)
class SignedPackages:
    """Where the line's packages lie, and whose signature counts: what a version in service must match."""

    store: Store
    line: str
    trusted: TrustedKeys = NO_KEYS

    def check(self, product: str, version: int, file: bytes) -> None:
        """Raise PackageRejected unless this file is the model of the package of that version."""
        package = read_package(self.store, f"models/{self.line}/{product}/{version}", self.trusted)
        if package.digests.get(MODEL) != sha256(file):
            raise PackageRejected(f"version {version} of {product} is not the model of its package")


@dataclass(frozen=True, slots=True)
class Servable:
    """What of a product may be served: its configuration and its model files by version."""

    config: bytes
    files: Mapping[int, bytes]


class RepositoryReader:
    """Reads a model repository, and takes of it what may be served.

    That is ``PRODUCT/config.pbtxt`` and ``PRODUCT/VERSION/model.onnx`` and nothing else. A configuration that
    sets what the trainer never sets is refused with its product; where ``packages`` are given, so is a
    version that is not the model of its package.
    """

    def __init__(self, source: Store, packages: SignedPackages | None = None) -> None:
        self._source, self._packages = source, packages

    def read(self) -> tuple[dict[str, Servable], list[str]]:
        """Return product → what may be served of it, and what is refused, with why; StoreUnavailable."""
        found: dict[str, Servable] = {}
        refused: list[str] = []
        for product, versions in sorted(self._versions().items()):
            try:
                config = self._config(product)
            except (PackageRejected, InvalidConfiguration) as error:
                refused.append(f"{product}: {error}")
                continue
            files = {version: self._model(product, version, refused) for version in sorted(versions)}
            taken = {version: file for version, file in files.items() if file is not None}
            if taken:
                found[product] = Servable(config, taken)
        return found, refused

    def _versions(self) -> dict[str, set[int]]:
        found: dict[str, set[int]] = {}
        for key in self._source.list(""):
            match key.split("/"):
                case [product, version, name] if name == MODEL and version.isdecimal():
                    found.setdefault(product, set()).add(int(version))
        return found

    def _config(self, product: str) -> bytes:
        """Return the product's configuration once it is known to set nothing but what ours sets."""
        try:
            text = self._source.get(f"{product}/{CONFIG}", MOST_CONFIG_BYTES)
        except NotInStore as error:
            raise PackageRejected(f"{CONFIG} is missing") from error
        if len(text) > MOST_CONFIG_BYTES:
            raise PackageRejected(f"{CONFIG} is larger than {MOST_CONFIG_BYTES} bytes")
        unlike = list(unlike_ours(parse_config(text.decode("utf-8", "replace")), product))
        if unlike:
            raise PackageRejected(f"{CONFIG} is not one that the trainer writes: {', '.join(unlike)}")
        return text

    def _model(self, product: str, version: int, refused: list[str]) -> bytes | None:
        """Return a version's model file, or None, with the reason noted, when it may not be served."""
        try:
            file = self._source.get(f"{product}/{version}/{MODEL}", MOST_MODEL_BYTES)
            if self._packages is not None:
                self._packages.check(product, version, file)
        except (NotInStore, PackageRejected) as error:
            refused.append(f"{product}/{version}: {error}")
            return None
        return file


def mirror(found: Mapping[str, Servable], target: Path) -> None:
    """Make a folder hold this and nothing beside. Raises OSError when it cannot be written."""
    for product, servable in found.items():
        folder = target / product
        for version, file in servable.files.items():
            (folder / str(version)).mkdir(parents=True, exist_ok=True)
            replace_file(folder / str(version) / MODEL, file)
        replace_file(folder / CONFIG, servable.config)
        kept = {CONFIG, *map(str, servable.files)}
        _remove_others(folder, kept)
    _remove_others(target, set(found))


def _remove_others(folder: Path, kept: set[str]) -> None:
    for path in folder.iterdir():
        if path.name in kept:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def unlike_ours(config: Any, product: str) -> Iterator[str]:
    """Say what of a configuration (Triton's own ModelConfig) the trainer never writes."""
    if config.name != product:
        yield f"name {config.name!r}"
    if config.backend not in BACKENDS:
        yield f"backend {config.backend!r}"
    allowed = {
        *("name", "backend", "max_batch_size", "input", "output", "version_policy", "instance_group"),
        *("dynamic_batching", "optimization", "parameters"),
    }
    yield from (f"field {field.name}" for field, _ in config.ListFields() if field.name not in allowed)
    yield from (f"parameter {name!r}" for name in sorted(config.parameters) if name not in PARAMETERS)
    accelerators = config.optimization.execution_accelerators
    named = [*accelerators.gpu_execution_accelerator, *accelerators.cpu_execution_accelerator]
    yield from (f"accelerator {one.name!r}" for one in named if one.name not in ACCELERATORS)
    given = {name for one in named for name in one.parameters}
    yield from (f"accelerator's parameter {name!r}" for name in sorted(given - set(ACCELERATOR_PARAMETERS)))


@dataclass(frozen=True, slots=True)
class ServerIdentity:
    """Files by which gRPC is encrypted, as PEM; with ``client_ca`` clients must show a certificate of it."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    @classmethod
    def of(
        cls, certificate: Path | None, key: Path | None, client_ca: Path | None
    ) -> "ServerIdentity | None":
        """Return the identity, None when nothing is given; raises InvalidConfiguration when half of it is."""
        if certificate is None and key is None and client_ca is None:
            return None
        if certificate is None or key is None:
            raise InvalidConfiguration("--certificate and --key are needed together, and for --client-ca too")
        return cls(certificate, key, client_ca)

    def arguments(self) -> list[str]:
        """Return the server's arguments."""
        known = [] if self.client_ca is None else [f"--grpc-root-cert={self.client_ca}"]
        return [
            "--grpc-use-ssl=true" if self.client_ca is None else "--grpc-use-ssl-mutual=true",
            f"--grpc-server-cert={self.certificate}",
            f"--grpc-server-key={self.key}",
            *known,
        ]


@dataclass(frozen=True, slots=True)
class ContainerServer:
    """How the server is started: program, repository, address, ports (gRPC, HTTP, metrics), key.

    ``products`` are loaded at the start; the trainer loads what comes later.
    """

    program: Path
    repository: Path
    host: str
    ports: tuple[int, int, int]
    admin_key: str
    products: Sequence[str] = ()
    identity: ServerIdentity | None = None

    def command(self) -> list[str]:
        """Return the command. Triton takes its key as an argument only: it is seen within the container."""
        grpc, http, metrics = self.ports
        closed = f"{CLOSED}:{KEY_HEADER}={self.admin_key}"
        return [
            str(self.program),
            f"--model-repository={self.repository}",
            "--model-control-mode=explicit",
            "--disable-auto-complete-config",
            "--exit-on-error=false",
            "--strict-readiness=false",
            f"--http-address={self.host}",
            f"--http-port={http}",
            f"--grpc-address={self.host}",
            f"--grpc-port={grpc}",
            f"--metrics-address={self.host}",
            f"--metrics-port={metrics}",
            f"--http-restricted-api={closed}",
            f"--grpc-restricted-protocol={closed}",
            *(self.identity.arguments() if self.identity is not None else ()),
            *(f"--load-model={product}" for product in self.products),
        ]
