"""``steadyline triton``: what Triton's containers run: check the model repository, then be the server."""

import os
from pathlib import Path
from typing import Annotated

import typer

from steadyline.errors import InvalidConfiguration
from steadyline.line import Line, load_line
from steadyline.servers.served_repository import RepositoryReader, SignedPackages
from steadyline.servers.triton_container import ContainerServer, ServerIdentity
from steadyline.settings import SigningSettings, TritonSettings, read_settings
from steadyline.signing import read_trusted
from steadyline.store import Store
from steadyline.terminal import PlainConsole

Port = Annotated[int, typer.Option(min=1, max=65_535, help="Port to listen on.")]
CopiedFrom = Annotated[
    str, typer.Option("--from", help="Address of a model repository to copy there first, s3:// too.")
]
AskedLine = Annotated[
    Path | None,
    typer.Option(
        "--line", help="Line whose packages each version must be the model of; by default none is asked."
    ),
]
Certificate = Annotated[
    Path | None, typer.Option(help="PEM file of the server's certificate; by default gRPC is in clear.")
]
CertificateKey = Annotated[
    Path | None, typer.Option("--key", help="PEM file of the certificate's key; by default none.")
]
ClientAuthority = Annotated[
    Path | None,
    typer.Option(help="PEM file whose certificates clients must show; by default none is asked for."),
]


def command(
    repository: Annotated[Path, typer.Option(help="Folder that Triton serves.")] = Path("/models"),
    source: CopiedFrom = "",
    line: AskedLine = None,
    program: Annotated[Path, typer.Option(help="Path of Triton's program.")] = Path(
        "/opt/tritonserver/bin/tritonserver"
    ),
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    grpc_port: Port = 8001,
    http_port: Port = 8000,
    metrics_port: Port = 8002,
    certificate: Certificate = None,
    certificate_key: CertificateKey = None,
    client_ca: ClientAuthority = None,
    is_check: Annotated[bool, typer.Option("--check", help="Check and copy, and start nothing.")] = False,
) -> None:
    """Check a model repository and become Triton, which serves what has passed.

    A folder that holds anything but a product's models is refused, and a configuration that the trainer
    would not write; with --line so is a version that is not the model of its package, and once
    STEADYLINE_TRUSTED_KEYS is set, packages must be signed. What is refused is told and not loaded.
    """
    key = read_settings(TritonSettings).admin_key
    identity = ServerIdentity.of(certificate, certificate_key, client_ca)
    if key is None and not is_check:
        raise InvalidConfiguration(
            "TRITON_ADMIN_KEY is not set: whoever reaches the server could load models"
        )
    products, is_whole = _checked(repository, source, line)
    if is_check or key is None:
        raise typer.Exit(0 if is_whole else 1)
    ports = (grpc_port, http_port, metrics_port)
    server = ContainerServer(program, repository, host, ports, key.get_secret_value(), products, identity)
    if not program.exists():
        raise InvalidConfiguration(f"{program} is not there: this command is for the images of Triton")
    os.execv(program, server.command())


def _checked(repository: Path, source: str, line: Path | None) -> tuple[list[str], bool]:
    """Check the repository, copy it where it comes from elsewhere, and tell what is refused.

    Returns the products to load, and False when anything was refused.
    """
    if not repository.is_dir():
        raise InvalidConfiguration(f"{repository} is no folder: mount the model repository there")
    console = PlainConsole(stderr=True, soft_wrap=True)
    config = None if line is None else load_line(line)
    address = source or f"file://{repository.resolve()}"
    read_from = Store(address, may_be_clear=config is not None and config.store_in_clear)
    reader = RepositoryReader(read_from, None if config is None else _packages(config))
    found, refused = reader.read()
    if source:
        found, changed = reader.copy(found, repository)
        refused += changed
    else:  # Triton would load all of a product's versions
        found = {name: one for name, one in found.items() if not any(_names(name, row) for row in refused)}
    for problem in refused:
        console.print(f"refused: {problem}")
    served = [f"{product}/{version}" for product, one in found.items() for version in one.digests]
    console.print(f"to be served: {', '.join(served) or 'nothing yet'}")
    return list(found), not refused


def _packages(line: Line) -> SignedPackages:
    store = Store(line.store, may_be_clear=line.store_in_clear)
    return SignedPackages(store, line.line, read_trusted(read_settings(SigningSettings)))


def _names(product: str, row: str) -> bool:
    """True when a refusal is of this product or of one of its versions."""
    return row.startswith((f"{product}:", f"{product}/"))
