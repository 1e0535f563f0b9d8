"""A version whose grid or map is another than that of the live one: Triton has one configuration for both."""

from pathlib import Path

import pytest

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
