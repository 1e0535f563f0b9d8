"""Nothing goes live that no trusted key has signed, or, where it is asked for, without a known licence."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from steadyline.line import GateSection
from steadyline.manifest import SUMS_SIGNATURE
from steadyline.package import NO_LICENCE
from steadyline.signing import Signer, TrustedKeys
from tests.support.works import Works, WorksSetUp
from trainer import metrics
from trainer.lifecycle.rollout import LiveModelLost

OLD, NEW, STRANGER = Signer.new(), Signer.new(), Signer.new()
ONLY_OLD, ONLY_NEW = TrustedKeys.parse(OLD.public_pem()), TrustedKeys.parse(NEW.public_pem())
BOTH = TrustedKeys.parse(OLD.public_pem() + NEW.public_pem())


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the reasons that the counter of refused packages was given."""
    found: list[str] = []

    def note(value: float, labels: Mapping[str, str]) -> None:
        found.append(labels["reason"])

    monkeypatch.setattr(metrics.PACKAGES_REFUSED, "backend", note)
    return found


def signed_works(folder: Path, signer: Signer | None = OLD, trusted: TrustedKeys = ONLY_OLD) -> Works:
    return Works(folder, set_up=WorksSetUp(signer=signer, trusted=trusted))


def signature_of(works: Works, version: int) -> str:
    return f"{works.packages.key('cell', version)}/{SUMS_SIGNATURE}"


def test_a_signed_candidate_goes_live(tmp_path: Path, refused: list[str]) -> None:
    works = signed_works(tmp_path)
    works.rollout.decide(works.trained(1, b"0.5"))
    assert works.state.event.live_version == 1
    assert refused == []


@pytest.mark.parametrize(
    ("signer", "word"), [(None, "unsigned_package"), (STRANGER, "wrong_package_signature")]
)
def test_a_candidate_that_no_trusted_key_signed_is_rejected_and_counted(
    tmp_path: Path, refused: list[str], signer: Signer | None, word: str
) -> None:
    works = signed_works(tmp_path, signer)
    works.rollout.decide(works.trained(1, b"0.5"))
    assert works.state.event.live_version is None
    assert works.state.event.changes[-1].reason.startswith(f"training_failed: {word}: ")
    assert "`steadyline models sign`" in works.state.event.changes[-1].reason
    assert works.triton.loads == 0
    assert set(refused) == {word}


def test_a_version_whose_signature_went_is_refused_until_it_is_signed_again(
    tmp_path: Path, refused: list[str]
) -> None:
    works = signed_works(tmp_path)
    for version in (1, 2):
        works.rollout.decide(works.trained(version, b"0.5"))
    works.store.delete(signature_of(works, 1))
    event = works.command("rollback", offset=0)
    assert event.live_version == 2
    assert "version 1 cannot be served and the live one stays: unsigned_package" in event.changes[-1].reason
    assert refused == ["unsigned_package"]
    (model,) = [model for model in event.models if model.version == 1]
    assert works.packages.sign("cell", 1, model.package, OLD)
    assert works.command("rollback", offset=1).live_version == 1


def test_a_candidate_that_was_unsigned_between_gate_and_promotion_can_be_promoted_once_it_is_signed(
    tmp_path: Path,
) -> None:
    works = signed_works(tmp_path)
    works.rollout.decide(works.trained(1, b"0.5"))
    works.triton.refuses = "out of memory"
    works.rollout.decide(works.trained(2, b"0.5"))
    works.triton.refuses = ""
    works.store.delete(signature_of(works, 2))
    assert works.command("promote", 2, offset=0).live_version == 1
    (model,) = [model for model in works.state.event.models if model.version == 2]
    assert model.reason.startswith("unsigned_package: ")
    works.packages.sign("cell", 2, model.package, OLD)
    assert works.command("promote", 2, offset=1).live_version == 2


def test_a_lost_live_version_comes_from_the_repository_whatever_the_store_says_and_from_the_store_if_signed(
    tmp_path: Path, refused: list[str]
) -> None:
    works = signed_works(tmp_path)
    works.rollout.decide(works.trained(1, b"0.5"))
    works.store.delete(signature_of(works, 1))
    works.triton.restart()
    works.rollout.ensure_served()
    assert works.triton.served == {("cell", 1): 0.5}
    (tmp_path / "cell" / "1" / "model.onnx").unlink()
    works.triton.restart()
    with pytest.raises(LiveModelLost, match="is not signed"):
        works.rollout.ensure_served()
    assert refused == ["unsigned_package"]
    live = works.state.event.live()
    assert live is not None
    works.packages.sign("cell", 1, live.package, OLD)
    works.rollout.ensure_served()
    assert works.triton.served == {("cell", 1): 0.5}


def test_keys_are_changed_with_an_overlap_and_every_version_stays_within_reach(tmp_path: Path) -> None:
    old = signed_works(tmp_path)
    for version in (1, 2):
        old.rollout.decide(old.trained(version, b"0.5"))

    def with_keys(signer: Signer, trusted: TrustedKeys) -> Works:
        set_up = WorksSetUp(store=old.store, signer=signer, trusted=trusted)
        started = Works(tmp_path, set_up=set_up)
        started.state.announce(old.state.event)
        return started

    both = with_keys(NEW, BOTH)
    both.rollout.decide(both.trained(3, b"0.5"))
    assert both.state.event.live_version == 3
    assert both.command("rollback", offset=0).live_version == 2, "the old key counts as well"

    too_soon = with_keys(NEW, ONLY_NEW)
    assert "wrong_package_signature" in too_soon.command("rollback", offset=0).changes[-1].reason
    for model in old.state.event.models:
        assert both.packages.sign("cell", model.version, model.package, NEW)
    after = with_keys(NEW, ONLY_NEW)
    assert after.command("rollback", offset=0).live_version == 1


def licensed(folder: Path) -> Works:
    return Works(folder, set_up=WorksSetUp(gate=GateSection(require_licence=True)))


@pytest.mark.parametrize("licence", [NO_LICENCE, f"Apache-2.0 AND {NO_LICENCE}"])
def test_a_candidate_without_a_known_licence_is_refused_where_one_is_asked_for(
    tmp_path: Path, licence: str
) -> None:
    works = licensed(tmp_path)
    works.licence = licence
    works.rollout.decide(works.trained(1, b"0.5"))
    event = works.state.event
    assert event.live_version is None
    assert event.changes[-1].reason.startswith("unknown_licence: nobody has said what licence the weights")
    assert works.triton.loads == 0
    assert "unknown_licence" in works.command("promote", 1).changes[-1].reason


def test_a_known_licence_goes_live_and_is_told_by_the_event(tmp_path: Path) -> None:
    works = licensed(tmp_path)
    works.licence = "Apache-2.0 AND LicenseRef-plant"
    works.rollout.decide(works.trained(1, b"0.5"))
    live = works.state.event.live()
    assert live is not None
    assert live.lineage["licence"] == works.licence


def test_nothing_is_asked_by_default_and_a_live_version_stays_when_that_changes(tmp_path: Path) -> None:
    works = Works(tmp_path)
    for version in (1, 2):
        works.rollout.decide(works.trained(version, b"0.5"))
    assert works.state.event.live_version == 2
    strict = Works(tmp_path, set_up=WorksSetUp(store=works.store, gate=GateSection(require_licence=True)))
    strict.state.announce(works.state.event)
    strict.rollout.ensure_served()
    assert strict.triton.served, "what is live is served on"
    event = strict.command("rollback")
    assert event.live_version == 2
    assert "unknown_licence" in event.changes[-1].reason


def test_a_package_that_another_line_has_trained_is_refused_and_says_whose_it_is(tmp_path: Path) -> None:
    works = Works(tmp_path)
    works.line = "cells-2"
    works.rollout.decide(works.trained(1, b"0.5"))
    event = works.state.event
    assert event.live_version is None
    assert event.changes[-1].after == "rejected"
    assert "is that of version 1 of 'cell' of the line 'cells-2'" in event.changes[-1].reason
    assert works.triton.loads == 0


def test_a_package_that_names_no_line_is_taken(tmp_path: Path) -> None:
    works = Works(tmp_path)
    works.line = ""
    works.rollout.decide(works.trained(1, b"0.5"))
    assert works.state.event.live_version == 1
