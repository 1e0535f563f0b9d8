"""Scores of a line's camera as the scorer writes them, one for each letter of a word."""

from datetime import timedelta

from steadyline.contracts.score import Score
from steadyline.kafka.broker import Broker, Message
from steadyline.line import Line
from tests.support.eventually import eventually
from tests.support.incidents import a_verdict


def written_score(line: Line, camera: str, sequence: int, letter: str, epoch: int = 7) -> Score:
    """Return a score of a camera of the line; ``a_verdict`` says what the letters mean."""
    score = a_verdict(sequence, letter, epoch).score
    product = next(one.product for one in line.cameras if one.id == camera)
    frame = f"{camera}/{epoch}/{sequence}"
    return score.model_copy(update={"frame": frame, "camera": camera, "product": product})


def written_scores(line: Line, camera: str, letters: str, epoch: int = 7) -> list[Message]:
    """Return the messages of a camera's scores, from its first frame on."""
    scores = [written_score(line, camera, number, one, epoch) for number, one in enumerate(letters, 1)]
    return [
        Message(
            line.kafka_topics().scores.name,
            camera.encode(),
            score.encode(),
            score.headers(line.line, camera, score.scored_at),
        )
        for score in scores
    ]


def write(broker: Broker, *messages: Message) -> None:
    """Write messages, and wait until the broker has them."""
    publisher, failed, written = broker.publisher("test"), list[Exception](), list[int]()

    def done(error: Exception | None) -> None:
        failed.extend([error] if error is not None else [])
        written.append(1)

    for message in messages:
        publisher.publish(message, done)
    assert publisher.flush(timedelta(seconds=30))
    eventually(lambda: len(written) == len(messages), within=30)
    publisher.close()
    assert not failed
