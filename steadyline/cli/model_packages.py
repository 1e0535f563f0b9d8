"""``steadyline models show`` and ``sign``: what a package is, where it came from, who vouches for it."""

import json
from pathlib import Path
from typing import Annotated

import typer

from steadyline.cli.line_models import event_of, event_source, line_broker
from steadyline.contracts.message import MOST_VERSION
from steadyline.errors import InvalidConfiguration
from steadyline.kafka.model_orders import newest_events
from steadyline.line import Line
from steadyline.ops.packages import PackageFacts, SignedVersion, package_facts, sign_listed
from steadyline.package import Packages, load_package, package_signers, read_package, sign_package
from steadyline.provenance import ProvenanceStatement
from steadyline.service import EXIT_FAILED, LineFile
from steadyline.settings import SigningSettings, read_settings
from steadyline.signing import Signer, read_signer, read_trusted
from steadyline.store import Store
from steadyline.terminal import PlainConsole

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Folder = Annotated[
    Path | None,
    typer.Option("--package", help="Folder of a package that fit wrote, by default none: the line is read."),
]
_PRODUCT = "Product of the line; by default none, which only --package allows."
_VERSION = "Version to show; by default the live one."
_PRODUCTS = "Product whose packages are signed; repeatable; by default all of the line."


def show(
    product: Annotated[str | None, typer.Argument(help=_PRODUCT)] = None,
    version: Annotated[int | None, typer.Argument(min=1, max=MOST_VERSION, help=_VERSION)] = None,
    line: LineFile = Path("line.yaml"),
    package: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Verify a package; show who signed it, its digests, the licence of its weights and its provenance."""
    facts = _of_folder(package) if package is not None else _of_line(line, product, version)
    if as_json:
        print(json.dumps(_as_json(facts), indent=2))
        return
    console = PlainConsole(soft_wrap=True)
    for title, text in _rows(facts):
        console.print(f"{title:12} {text}")


def sign(
    line: LineFile = Path("line.yaml"),
    product: Annotated[list[str] | None, typer.Option("--product", help=_PRODUCTS)] = None,
    package: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Sign the packages that are there with STEADYLINE_SIGNING_KEY; exit status 1 when one was refused.

    Of a line these are all versions that its model events list, each file held against the digest there.
    """
    signer = read_signer(read_settings(SigningSettings))
    if signer is None:
        raise InvalidConfiguration("STEADYLINE_SIGNING_KEY is not set: `steadyline keys new` makes a pair")
    outcomes = [_sign_folder(package, signer)] if package is not None else _sign_line(line, product, signer)
    if as_json:
        rows = [{"product": o.product, "version": o.version, "outcome": o.outcome} for o in outcomes]
        print(json.dumps({"key": signer.key_id, "packages": rows}, indent=2))
    else:
        console = PlainConsole(soft_wrap=True)
        for one in outcomes:
            console.print(f"{one.product} {one.version}: {one.outcome}")
        console.print(
            f"key {signer.key_id}" if outcomes else "no version is listed: there is nothing to sign"
        )
    if not all(one.is_signed for one in outcomes):
        raise typer.Exit(EXIT_FAILED)


def _of_folder(folder: Path) -> PackageFacts:
    store, trusted = Store(f"file://{folder.resolve()}"), read_trusted(read_settings(SigningSettings))
    package = read_package(store, "", trusted)
    return package_facts(
        load_package(store, package, trusted), package, package_signers(store, package, trusted)
    )


def _of_line(line: Path, product: str | None, version: int | None) -> PackageFacts:
    if product is None:
        raise InvalidConfiguration("which product to show was not said: give its name, or --package")
    with line_broker(line) as (config, broker):
        event = event_of(config, broker, product)
    wanted = version or event.live_version
    model = next((model for model in event.models if model.version == wanted), None)
    if model is None:
        raise InvalidConfiguration(f"version {wanted} of {product} is not listed (any more)")
    trusted = read_trusted(read_settings(SigningSettings))
    packages = Packages(_store(config), config.line, trusted=trusted)
    at = product, model.version, model.package
    return package_facts(packages.load(*at), model.package, packages.signers(*at))


def _sign_folder(folder: Path, signer: Signer) -> SignedVersion:
    store = Store(f"file://{folder.resolve()}")
    package = read_package(store, "")
    card = package_facts(load_package(store, package), package, ()).card
    is_new = sign_package(store, package, signer)
    return SignedVersion(card.product, card.version, "signed" if is_new else "signed before", True)


def _sign_line(line: Path, products: list[str] | None, signer: Signer) -> list[SignedVersion]:
    with line_broker(line) as (config, broker):
        unknown = sorted(set(products or ()) - set(config.products))
        if unknown:
            raise InvalidConfiguration(f"{line} has no product {unknown[0]!r}")
        events = newest_events(event_source(config, broker))
        chosen = {name: event for name, event in events.items() if name in (products or config.products)}
        return list(sign_listed(Packages(_store(config), config.line), chosen, signer))


def _store(line: Line) -> Store:
    return Store(line.store, may_be_clear=line.store_in_clear)


def _rows(facts: PackageFacts) -> list[tuple[str, str]]:
    card, trusted = facts.card, read_trusted(read_settings(SigningSettings))
    checked = "" if trusted.is_set else " (not checked: STEADYLINE_TRUSTED_KEYS is not set)"
    signed = ", ".join(facts.signers) + checked if facts.signers else "by nobody"
    rows = [
        ("version", f"{card.version} of {card.product}, {card.detector}, profile {card.profile}"),
        ("line", card.line or "none is named: `fit` has none, nor had earlier releases"),
        ("package", facts.package.uri),
        ("signed", signed),
        ("licence", card.licence),
        *[("sha256", f"{digest}  {name}") for name, digest in facts.package.digests.items()],
    ]
    if facts.provenance is None:
        return [*rows, ("provenance", "none: an earlier release packed it")]
    return [*rows, *_provenance_rows(facts.provenance)]


def _provenance_rows(told: ProvenanceStatement) -> list[tuple[str, str]]:
    definition, run = told.predicate.build_definition, told.predicate.run_details
    builder = ", ".join(f"{name} {version}" for name, version in sorted(run.builder.version.items()))
    ordered = ", ".join(
        f"{name}={json.dumps(value)}" for name, value in definition.external_parameters.items()
    )
    return [
        ("provenance", told.predicate_type),
        ("builder", f"{run.builder.id}: {builder}"),
        ("started", f"{run.metadata.started_on:%Y-%m-%d %H:%M:%S}"),
        ("finished", f"{run.metadata.finished_on:%Y-%m-%d %H:%M:%S}"),
        ("parameters", ordered),
        *[
            ("made of", f"{artifact.digest.get('sha256', '')}  {artifact.name}")
            for artifact in definition.resolved_dependencies
        ],
    ]


def _as_json(facts: PackageFacts) -> dict[str, object]:
    return {
        "line": facts.card.line,
        "product": facts.card.product,
        "version": facts.card.version,
        "package": facts.package.model_dump(mode="json"),
        "signed_by": facts.signers,
        "licence": facts.card.licence,
        "provenance": facts.provenance and facts.provenance.model_dump(mode="json", by_alias=True),
    }
