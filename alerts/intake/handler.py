"""Turns each record into what the rules observe, by its topic; it is done at once."""

from concurrent.futures import Future

from alerts.incidents.observation import Observation
from alerts.intake.decode import RecordDecoder
from alerts.intake.model_history import ModelHistory
from steadyline.contracts.topics import Topics
from steadyline.kafka.broker import Partition, Record


class ObservationHandler:
    """See ``RecordHandler``."""

    def __init__(self, topics: Topics, decoder: RecordDecoder, history: ModelHistory) -> None:
        self._topics, self._decoder, self._history = topics, decoder, history

    def submit(self, record: Record) -> Future[Observation | None]:
        result: Future[Observation | None] = Future()
        result.set_result(self._observation(record))
        return result

    def drop(self, partition: Partition) -> None:
        self._history.forget(partition)

    def _observation(self, record: Record) -> Observation | None:
        if record.partition.topic == self._topics.scores.name:
            return self._decoder.score(record)
        if record.partition.topic == self._topics.camera_status.name:
            return self._decoder.status(record)
        return self._decoder.event(self._history.believe(record))
