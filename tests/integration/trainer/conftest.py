"""One line for the whole folder, on servers of its own that the tests kill; training it takes longest."""

from collections.abc import Iterator

import pytest

from steadyline.servers import LocalStack, StackPaths
from tests.support.servers import ROOT, new_home, remove, require
from tests.support.trainer_line import USUAL, TrainerLine


@pytest.fixture(scope="session")
def breakable() -> Iterator[LocalStack]:
    """Kafka, Redis and Triton that may be killed, as long as they run again when the test ends."""
    require()
    home = new_home()
    with LocalStack(StackPaths.of_checkout(home, ROOT)) as running:
        yield running
        running.triton.kill9()  # one whose model process was killed waits 20 s for it when it is to end
    remove(home)


@pytest.fixture(scope="session")
def factory(breakable: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrainerLine]:
    """The line, at first without a model."""
    made = TrainerLine(tmp_path_factory.mktemp("factory"), breakable.addresses)
    yield made
    made.close()


@pytest.fixture
def trained(factory: TrainerLine) -> TrainerLine:
    """The line with at least one version, trained now unless a test before has done so."""
    event = factory.event()
    if event is None or event.live_version is None:
        factory.work(USUAL)
        factory.wait_for(lambda event: event.live_version is not None, "a live version")
    return factory


@pytest.fixture
def twice_trained(trained: TrainerLine) -> TrainerLine:
    """The line with a live version and one that was live before."""
    trained.work()
    event = trained.event()
    assert event is not None
    if not any(model.state == "retired" for model in event.models):
        assert trained.models("retrain", trained.product, "--wait").returncode == 0
    return trained
