"""A version goes live by the gate, the load, the probe and the event; each that fails leaves the old one."""

from datetime import timedelta
from pathlib import Path

import onnx
import pytest

from steadyline.contracts.model_command import Action
from steadyline.digest import sha256
from steadyline.errors import BrokerUnavailable, InferenceUnavailable
from steadyline.manifest import SUMS, manifest_text
from steadyline.model_folder import FENCE
from steadyline.triton import parse_config
from tests.support.graphs import a_graph
from tests.support.works import GOOD, Works
from trainer.control.commands import CommandRefused, Commands
from trainer.jobs.spec import Figures, JobFailure
from trainer.lifecycle import transitions
from trainer.lifecycle.rollout import LiveModelLost


@pytest.fixture
def works(tmp_path: Path) -> Works:
    return Works(tmp_path)


def changed(**figures: float) -> Figures:
    return GOOD.model_copy(update=figures)


def test_the_first_good_candidate_goes_live(works: Works) -> None:
    works.rollout.decide(works.trained(1, b"0.5"))
    event = works.state.event
    assert event.live_version == 1
    assert [change.after for change in event.changes] == ["candidate", "live"]
    assert event.changes[-1].reason.startswith("first: clean 0.900")
    assert works.triton.served == {("cell", 1): 0.5}


def test_the_next_one_is_served_beside_it_and_the_old_one_stays_loaded(works: Works) -> None:
    for version in (1, 2, 3):
        works.rollout.decide(works.trained(version, b"0.5"))
    assert works.state.event.live_version == 3
    assert sorted(works.triton.served) == [("cell", 2), ("cell", 3)]
    assert works.repository.versions("cell") == [2, 3]


def test_a_candidate_under_the_certified_floor_is_rejected_with_the_floor_in_the_event(works: Works) -> None:
    weak = works.trained(1, b"0.5", changed(attacked=0.3))
    works.rollout.decide(weak.model_copy(update={"floor": 0.9}))
    change = works.state.event.changes[-1]
    assert change.after == "rejected"
    assert change.reason.startswith("under_certified_floor: attacked AUROC 0.300")
    assert change.figures["certified_floor_auroc"] == 0.9


def test_candidates_that_each_lose_a_little_are_stopped_at_what_may_be_lost_in_all(works: Works) -> None:
    """Each is measured against the live model of that moment, which is a little worse than the one before."""
    live = GOOD
    for version in range(1, 60):
        candidate = live.model_copy(
            update={
                "clean": live.clean - 0.0099,
                "attacked": live.attacked - 0.0099,
                "corrupted": live.corrupted - 0.0099,
            }
        )
        result = works.trained(version, b"0.5", candidate)
        works.rollout.decide(result.model_copy(update={"live": live if version > 1 else None}))
        if works.state.event.live_version != version:
            break
        live = candidate
        works.advance(timedelta(days=2))
    assert works.state.event.changes[-1].reason.startswith("drifted: clean_auroc")
    assert live.clean > GOOD.clean - 0.0099 - 0.1 - 1e-9
    assert works.state.event.best["clean_auroc"] == pytest.approx(GOOD.clean - 0.0099)


def test_the_best_outlives_the_changes_that_told_of_it(works: Works) -> None:
    works.rollout.decide(works.trained(1, b"0.5"))
    for number in range(transitions.MOST_CHANGES):
        note = transitions.note(works.state.event, 1, f"refused: order {number}", works.clock.now())
        works.state.announce(note)
    works.state.forget()
    drifted = works.trained(2, b"0.5", changed(clean=0.79))
    works.rollout.decide(drifted.model_copy(update={"live": changed(clean=0.79)}))
    assert works.state.event.changes[-1].reason.startswith("drifted: clean_auroc 0.790 is under")


def test_a_model_whose_threshold_is_above_everything_never_goes_live(works: Works) -> None:
    works.rollout.decide(works.trained(1, b"0.5", changed(detection=0.0)))
    assert works.state.event.live_version is None
    assert works.state.event.changes[-1].reason.startswith("blind_at_threshold")


def test_no_more_versions_go_live_in_a_day_than_may_and_a_person_may_promote_the_next(works: Works) -> None:
    for version in range(1, 8):
        works.rollout.decide(works.trained(version, b"0.5"))
    assert works.state.event.live_version == 6
    assert works.state.event.changes[-1].reason.startswith("daily_limit: 6 versions went live within a day")
    assert works.command("promote", 7).live_version == 7
    works.advance(timedelta(days=1))
    works.rollout.decide(works.trained(8, b"0.5"))
    assert works.state.event.live_version == 8


def test_the_frames_that_were_not_believed_to_be_normal_are_named_in_the_reason(works: Works) -> None:
    result = works.trained(1, b"0.5", lineage={"left_out": "bad.png (50)"})
    works.rollout.decide(result)
    reason = works.state.event.changes[-1].reason
    assert reason.endswith("; not believed to be normal: bad.png (50)")


def test_a_weaker_candidate_is_rejected_and_never_reaches_the_server(works: Works) -> None:
    works.rollout.decide(works.trained(1, b"0.5"))
    loads = works.triton.loads
    works.rollout.decide(works.trained(2, b"0.5", changed(attacked=0.5)))
    event = works.state.event
    assert event.live_version == 1
    assert event.changes[-1].after == "rejected"
    assert event.changes[-1].reason.startswith("robust_worse: 0.700 → 0.500")
    assert event.changes[-1].figures["candidate_attacked_auroc"] == 0.5
    assert works.triton.loads == loads
    assert works.repository.versions("cell") == [1]


@pytest.mark.parametrize(
    ("answers", "word"), [(b"broken", "load_failed"), (b"hangs", "load_timeout"), (b"0.6", "wrong_answer")]
)
def test_a_version_that_cannot_serve_is_taken_out_and_the_old_one_stays(
    works: Works, answers: bytes, word: str
) -> None:
    works.rollout.decide(works.trained(1, b"0.5"))
    works.rollout.decide(works.trained(2, answers))
    event = works.state.event
    assert event.live_version == 1
    assert event.changes[-1].after == "rejected"
    assert event.changes[-1].reason.startswith(word)
    assert works.triton.served == {("cell", 1): 0.5}
    assert works.repository.versions("cell") == [1]


def test_a_version_that_sees_another_score_in_a_cameras_bytes_does_not_go_live(works: Works) -> None:
    works.rollout.decide(works.trained(1, b"0.5", encoded=0.5))
    works.rollout.decide(works.trained(2, b"0.5", encoded=0.52))
    event = works.state.event
    assert event.live_version == 1
    assert event.changes[-1].reason.startswith("wrong_answer")
    assert "gives 0.5 for its png frame, the trainer saw 0.52 ± 0.01" in event.changes[-1].reason


def test_a_package_that_was_changed_in_the_store_is_rejected(works: Works) -> None:
    works.rollout.decide(works.trained(1, b"0.5"))
    result = works.trained(2, b"0.5")
    works.store.put("models/l/cell/2/model.onnx", a_graph("0.7"))
    works.rollout.decide(result)
    assert works.state.event.live_version == 1
    assert "package_rejected" in works.state.event.changes[-1].reason


def test_how_triton_serves_a_model_is_never_read_from_a_package(works: Works) -> None:
    result = works.trained(1, b"0.5")
    code = b'name: "cell" backend: "python" parameters { key: "EXECUTION_ENV_PATH" }'
    works.store.put("models/l/cell/1/config.pbtxt", code)
    package = result.package.model_copy(
        update={"digests": {**result.package.digests, "config.pbtxt": sha256(code)}}
    )
    works.store.put(f"models/l/cell/1/{SUMS}", manifest_text(package.digests))
    works.rollout.decide(result.model_copy(update={"package": package}))
    assert works.state.event.live_version == 1
    config = parse_config((works.folder / "cell" / "config.pbtxt").read_text())
    assert (config.backend, config.name) == ("onnxruntime", "cell")
    assert "EXECUTION_ENV_PATH" not in config.parameters
    assert {path.name for path in works.folder.rglob("*") if path.is_file()} == {
        FENCE,
        "config.pbtxt",
        "model.onnx",
    }


@pytest.mark.parametrize("name", ["model.py", "../cell/1/model.py", "/etc/passwd", "1/model.onnx", ""])
def test_a_package_that_names_any_other_file_is_rejected(works: Works, name: str) -> None:
    result = works.trained(1, b"0.5")
    package = result.package.model_copy(update={"digests": {**result.package.digests, name: "0" * 64}})
    works.rollout.decide(result.model_copy(update={"package": package}))
    assert works.state.event.changes[-1].reason.startswith("training_failed: package_rejected")
    assert works.triton.loads == 0


@pytest.mark.parametrize("uri", ["memory://x/models/l/cell/1", "file:///etc", "models/../../x", "", "a*b"])
def test_a_package_that_lies_elsewhere_is_rejected(works: Works, uri: str) -> None:
    result = works.trained(1, b"0.5")
    works.rollout.decide(
        result.model_copy(update={"package": result.package.model_copy(update={"uri": uri})})
    )
    assert works.state.event.changes[-1].reason.startswith("training_failed: package_rejected")
    assert works.triton.loads == 0


def test_a_package_that_release_0_1_wrote_can_be_rolled_back_to(works: Works) -> None:
    result = works.trained(1, b"0.5")
    for name in result.package.digests:
        works.store.put(f"models/cell/1/{name}", works.store.get(f"{result.package.uri}/{name}"))
    works.store.delete("models/l/cell/1")
    old = result.package.model_copy(update={"uri": works.store.uri("models/cell/1")})
    works.rollout.decide(result.model_copy(update={"package": old}))
    assert works.state.event.live_version == 1


def test_a_package_of_another_product_or_version_is_rejected(works: Works) -> None:
    works.rollout.decide(works.trained(1, b"0.5"))
    other = works.trained(2, b"0.6")
    files = {name: works.store.get(f"{other.package.uri}/{name}") for name in other.package.digests}
    package = works.packages.write("cell", 3, files)
    works.rollout.decide(other.model_copy(update={"version": 3, "package": package}))
    assert "is that of version 2 of 'cell'" in works.state.event.changes[-1].reason
    assert works.state.event.live_version == 1


def test_a_model_that_reaches_beyond_its_file_is_rejected_and_never_reaches_the_server(works: Works) -> None:
    model = onnx.load_from_string(a_graph("0.5"))
    model.graph.node.append(onnx.helper.make_node("Run", ["picture"], ["x"], domain="com.example"))
    result = works.trained(1, b"0.5", graph=model.SerializeToString())
    works.rollout.decide(result)
    assert "uses an operator of the domain" in works.state.event.changes[-1].reason
    assert not (works.folder / "cell").exists()


def test_triton_being_away_decides_nothing_and_the_same_result_is_decided_later(works: Works) -> None:
    result = works.trained(1, b"0.5")
    works.triton.is_away = True
    with pytest.raises(InferenceUnavailable):
        works.rollout.decide(result)
    assert [model.state for model in works.state.event.models] == ["candidate"]
    works.triton.is_away = False
    works.rollout.decide(result)
    assert works.state.event.live_version == 1


def test_a_broker_that_is_away_at_the_announcement_leaves_the_old_one_live(works: Works) -> None:
    works.rollout.decide(works.trained(1, b"0.5"))
    result = works.trained(2, b"0.5")
    works.broker.set_away(True)
    with pytest.raises(BrokerUnavailable):
        works.rollout.decide(result)
    works.broker.set_away(False)
    assert works.state.event.live_version == 1
    works.rollout.decide(result)
    assert works.state.event.live_version == 2


def test_a_result_is_decided_once(works: Works) -> None:
    result = works.trained(1, b"0.5")
    works.rollout.decide(result)
    event = works.state.event
    works.rollout.decide(result)
    assert works.state.event == event


def test_a_failed_training_is_told_with_its_reason(works: Works) -> None:
    works.rollout.give_up(JobFailure(version=1, reason="normals", message="3 are too few"))
    change = works.state.event.changes[-1]
    assert (change.before, change.after, change.version) == (None, "rejected", 1)
    assert change.reason == "training_failed: normals: 3 are too few"


def test_a_restarted_triton_gets_the_live_version_back(works: Works) -> None:
    for version in (1, 2):
        works.rollout.decide(works.trained(version, b"0.5"))
    works.triton.restart()
    works.rollout.ensure_served()
    assert ("cell", 2) in works.triton.served


def test_a_restarted_triton_gets_the_live_version_back_while_the_store_has_lost_it(works: Works) -> None:
    works.rollout.decide(works.trained(1, b"0.5"))
    works.store.delete("models/l/cell/1")
    works.triton.restart()
    works.rollout.ensure_served()
    assert works.triton.served == {("cell", 1): 0.5}


def test_a_live_version_that_was_changed_in_the_repository_comes_from_the_store(works: Works) -> None:
    works.rollout.decide(works.trained(1, b"0.5"))
    (works.folder / "cell" / "1" / "model.onnx").write_bytes(a_graph("0.9"))
    works.triton.restart()
    works.rollout.ensure_served()
    assert works.triton.served == {("cell", 1): 0.5}


def test_a_live_version_that_is_intact_nowhere_is_served_by_nobody_and_another_can_be(works: Works) -> None:
    for version in (1, 2):
        works.rollout.decide(works.trained(version, b"0.5"))
    works.store.put("models/l/cell/2/model.onnx", a_graph("0.7"))
    (works.folder / "cell" / "2" / "model.onnx").write_bytes(a_graph("0.7"))
    works.triton.restart()
    with pytest.raises(LiveModelLost, match=r"version 2 of cell: .* does not match its digest"):
        works.rollout.ensure_served()
    assert works.triton.served == {}
    assert works.command("rollback").live_version == 1
    works.rollout.ensure_served()


CODE = 'name: "cell" backend: "python" parameters { key: "EXECUTION_ENV_PATH" }'


def test_a_version_that_is_loaded_again_is_served_as_the_trainer_writes_it(works: Works) -> None:
    """Triton reads configuration and graph anew at each load, whoever has changed them since."""
    works.rollout.decide(works.trained(1, b"0.5"))
    ours = works.triton.config
    (works.folder / "cell" / "config.pbtxt").write_text(CODE)
    (works.folder / "cell" / "1" / "model.onnx").write_bytes(a_graph("0.9"))
    works.rollout.mend()
    assert works.triton.loads == 2
    assert works.triton.config == ours
    assert works.triton.served == {("cell", 1): 0.5}


def test_a_version_that_is_intact_nowhere_is_not_loaded_again(works: Works) -> None:
    works.rollout.decide(works.trained(1, b"0.5"))
    works.store.delete("models/l/cell/1")
    (works.folder / "cell" / "1" / "model.onnx").write_bytes(a_graph("0.9"))
    with pytest.raises(LiveModelLost):
        works.rollout.mend()
    assert works.triton.loads == 1
    assert works.triton.served == {("cell", 1): 0.5}


def test_a_version_that_cannot_serve_leaves_the_old_one_as_the_trainer_writes_it(works: Works) -> None:
    works.rollout.decide(works.trained(1, b"0.5"))
    ours = works.triton.config
    works.triton.before_answer = lambda: (works.folder / "cell" / "config.pbtxt").write_text(CODE)
    works.rollout.decide(works.trained(2, b"0.6"))
    assert works.state.event.live_version == 1
    assert works.triton.loads == 3
    assert works.triton.config == ours


def test_a_live_version_that_was_changed_is_not_read_when_a_candidate_is_taken_out(works: Works) -> None:
    works.rollout.decide(works.trained(1, b"0.5"))
    file = works.folder / "cell" / "1" / "model.onnx"
    works.triton.before_answer = lambda: file.write_bytes(a_graph("0.9"))
    works.rollout.decide(works.trained(2, b"0.6"))
    assert works.state.event.live_version == 1
    assert works.triton.served["cell", 1] == 0.5


def test_a_version_that_was_live_and_was_changed_since_is_refused_in_one_event_that_says_why(
    works: Works,
) -> None:
    for version in (1, 2):
        works.rollout.decide(works.trained(version, b"0.5"))
    works.store.put("models/l/cell/1/card.json", b"{}")
    before = len(works.state.event.changes)
    event = works.command("promote", 1)
    assert event.live_version == 2
    assert [(change.before, change.after) for change in event.changes[before:]] == [("retired", "retired")]
    assert event.changes[-1].reason.startswith("refused: promote by ann: version 1 cannot be served")
    assert "card.json does not match its digest" in event.changes[-1].reason


def test_rolling_back_serves_and_announces_the_version_before(works: Works) -> None:
    for version in (1, 2):
        works.rollout.decide(works.trained(version, b"0.5"))
    event = works.command("rollback")
    assert event.live_version == 1
    assert event.changes[-1].reason == "rolled back by ann: because"
    assert event.commands_until == 1
    assert ("cell", 1) in works.triton.served


def test_rolling_back_works_after_the_version_left_the_repository(works: Works) -> None:
    for version in (1, 2, 3):
        works.rollout.decide(works.trained(version, b"0.5"))
    works.command("rollback", version=1)
    assert works.state.event.live_version == 1
    assert works.repository.versions("cell") == [1, 3]
    assert set(transitions.find(works.state.event, 1).calibrations) == {"*"}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("action", "version", "why"),
    [
        ("rollback", None, "no version that was live before"),
        ("promote", None, "was not said"),
        ("promote", 9, "is not known"),
        ("promote", 1, "is live already"),
        ("promote", 2, "was rejected: robust_worse"),
        ("shadow", 1, "no shadow versions"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused_with_the_reason(
    works: Works, action: Action, version: int | None, why: str
) -> None:
    works.rollout.decide(works.trained(1, b"0.5"))
    works.rollout.decide(works.trained(2, b"0.5", changed(attacked=0.5)))
    event = works.command(action, version)
    assert event.live_version == 1
    assert event.changes[-1].reason.startswith(f"refused: {action} by ann")
    assert why in event.changes[-1].reason
    assert event.commands_until == 1


def test_a_version_that_only_failed_to_load_may_be_promoted_by_hand(works: Works) -> None:
    works.rollout.decide(works.trained(1, b"0.5"))
    works.triton.refuses = "out of memory"
    works.rollout.decide(works.trained(2, b"0.5"))
    assert works.state.event.changes[-1].reason.startswith("load_failed")
    assert works.command("promote", 2, offset=0).live_version == 1
    works.triton.refuses = ""
    event = works.command("promote", 2, offset=1)
    assert event.live_version == 2
    assert event.changes[-1].reason == "promoted by ann: because"


def test_a_command_is_answered_once_also_after_a_restart(works: Works) -> None:
    works.command("retrain", offset=4)
    works.command("retrain", offset=4)
    works.command("retrain", offset=3)
    assert works.ordered == ["by ann: because"]
    assert works.state.event.commands_until == 5


def test_a_training_that_cannot_start_is_refused(works: Works) -> None:
    def refuse(said: str) -> None:
        raise CommandRefused("version 2 is being trained")

    works.commands = Commands(works.state, works.rollout, works.stations, refuse, works.clock)
    assert "is being trained" in works.command("retrain").changes[-1].reason
