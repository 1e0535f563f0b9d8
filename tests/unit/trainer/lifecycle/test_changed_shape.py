"""A version whose grid or map is another than that of the live one: Triton has one configuration for both."""

from pathlib import Path

import pytest

from steadyline.errors import InferenceUnavailable, StoreUnavailable
from steadyline.triton import parse_config
from tests.support.graphs import a_graph
from tests.support.works import Works


@pytest.fixture
def works(tmp_path: Path) -> Works:
    """A product whose live version 1 has a map of 2x2."""
    made = Works(tmp_path)
    made.rollout.decide(made.trained(1, b"0.5"))
    return made


def cells_of(config: str) -> list[int]:
    """Return rows and columns of the map by a configuration."""
    return list(parse_config(config).output[1].dims)


def finer(word: str) -> bytes:
    return a_graph(word, cells=4)


def test_it_takes_the_place_of_the_live_one_which_its_configuration_does_not_fit(works: Works) -> None:
    works.rollout.decide(works.trained(2, b"", graph=finer("0.5")))
    assert works.state.event.live_version == 2
    assert works.triton.served == {("cell", 2): 0.5}
    assert cells_of(works.triton.config) == [4, 4]


def test_the_one_after_it_of_the_same_shape_is_served_beside_it(works: Works) -> None:
    for version in (2, 3):
        works.rollout.decide(works.trained(version, b"", graph=finer("0.5")))
    assert sorted(works.triton.served) == [("cell", 2), ("cell", 3)]


def test_one_that_answers_wrongly_is_taken_out_and_the_live_one_is_served_again_as_it_was(
    works: Works,
) -> None:
    works.rollout.decide(works.trained(2, b"", graph=finer("9")))
    event = works.state.event
    assert event.live_version == 1
    assert event.changes[-1].reason.startswith("wrong_answer")
    assert works.triton.served == {("cell", 1): 0.5}
    assert cells_of(works.triton.config) == [2, 2]


def test_one_that_cannot_be_loaded_leaves_the_live_one_to_be_served_again(works: Works) -> None:
    works.rollout.decide(works.trained(2, b"", graph=finer("broken")))
    assert works.state.event.changes[-1].reason.startswith("load_failed")
    works.rollout.ensure_served()
    assert works.triton.served == {("cell", 1): 0.5}
    assert cells_of(works.triton.config) == [2, 2]


def test_a_trainer_that_was_killed_before_it_announced_it_serves_the_live_one_again(
    works: Works,
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    result = works.trained(2, b"", graph=finer("0.5"))
    works.triton.before_answer = killed  # it is being probed
    with pytest.raises(KeyboardInterrupt):
        works.rollout.decide(result)
    works.rollout.ensure_served()
    assert works.triton.served == {("cell", 1): 0.5}


def test_a_rollback_over_the_change_brings_the_shape_of_before_back(works: Works) -> None:
    works.rollout.decide(works.trained(2, b"", graph=finer("0.5")))
    assert works.command("rollback").live_version == 1
    assert works.triton.served == {("cell", 1): 0.5}
    assert cells_of(works.triton.config) == [2, 2]


def test_one_that_answers_wrongly_once_triton_is_back_leaves_the_live_one_served(works: Works) -> None:
    def die() -> None:
        works.triton.is_away = True

    result = works.trained(2, b"", graph=finer("9"))
    works.triton.before_answer = die
    with pytest.raises(InferenceUnavailable):
        works.rollout.decide(result)
    works.triton.is_away, works.triton.before_answer = False, lambda: None
    works.rollout.decide(result)
    assert works.state.event.changes[-1].reason.startswith("wrong_answer")
    assert works.triton.served == {("cell", 1): 0.5}


def test_a_trainer_that_was_killed_serves_the_live_one_again_though_the_store_has_lost_it(
    works: Works,
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    result, live = works.trained(2, b"", graph=finer("0.5")), works.state.event.live()
    works.triton.before_answer = killed
    with pytest.raises(KeyboardInterrupt):
        works.rollout.decide(result)
    works.triton.restart()
    assert live is not None
    works.store.delete(works.store.key(live.package.uri))
    works.rollout.ensure_served()
    assert works.triton.served == {("cell", 1): 0.5}
    assert cells_of(works.triton.config) == [2, 2]


def test_a_full_disk_leaves_the_way_back(works: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    result, live = works.trained(2, b"", graph=finer("0.5")), works.state.event.live()
    with monkeypatch.context() as patch:
        patch.setattr("trainer.lifecycle.repository.replace_file", full)
        with pytest.raises(StoreUnavailable):
            works.rollout.decide(result)
    assert live is not None
    works.store.delete(works.store.key(live.package.uri))
    works.triton.restart()
    works.rollout.ensure_served()
    assert works.triton.served == {("cell", 1): 0.5}


def test_without_an_intact_copy_of_the_live_one_its_place_is_not_taken(works: Works) -> None:
    live = works.state.event.live()
    assert live is not None
    works.store.delete(works.store.key(live.package.uri))
    (works.folder / "cell" / "1" / "model.onnx").write_bytes(a_graph("7"))
    works.rollout.decide(works.trained(2, b"", graph=finer("9")))
    assert works.state.event.live_version == 1
    assert ("cell", 1) in works.triton.served


def test_what_lies_aside_is_removed_with_the_next_version_beside_the_live_one(works: Works) -> None:
    works.rollout.decide(works.trained(2, b"", graph=finer("0.5")))
    assert (works.folder / "cell" / ".aside1").is_file()
    works.rollout.decide(works.trained(3, b"", graph=finer("0.5")))
    assert not (works.folder / "cell" / ".aside1").exists()
