"""What the store keeps of labels: the picture that the score vouches for, or the word for its absence."""

import uuid
from datetime import timedelta

import numpy as np
import pytest
from typing_extensions import override

from steadyline.clock import ManualClock
from steadyline.contracts.feedback import FrameLabel
from steadyline.contracts.kept_labels import KeptLabel, index_key
from steadyline.contracts.topics import line_topics
from steadyline.digest import sha256
from steadyline.errors import StoreUnavailable
from steadyline.kafka.broker import Partition, Record
from steadyline.kafka.model_events import EventSeal
from steadyline.line import PictureSection
from steadyline.ops.labels import ProductLabels, kept_labels
from steadyline.picture import encode_png
from steadyline.signing import Signer, TrustedKeys
from steadyline.store import Store
from tests.support.labels import SAID, a_feedback
from tests.support.stream_scores import a_score, stream_rules
from trainer.control.inbox import ProductInbox
from trainer.control.label_keeper import COPIES_PER_TURN, LOOK_AGAIN, LabelKeeper
from trainer.data.label_shelf import LabelShelf

SIZE = 16
PICTURE = PictureSection(size=SIZE)
SEAL = EventSeal("line-1")
AT = int(SAID.timestamp() * 1000)


def a_picture(seed: int) -> bytes:
    return encode_png(np.random.default_rng(seed).integers(0, 256, (SIZE, SIZE), np.uint8))


class Desk:
    """An inbox, a store with evidence, and the keeper that brings one to the other."""

    def __init__(self, seal: EventSeal = SEAL) -> None:
        self.store, self.seal, self.clock = Store(f"memory://{uuid.uuid4().hex}"), seal, ManualClock()
        self.inbox = ProductInbox("cell", stream_rules(quarantine=timedelta(0)))
        self.inbox.end_history()
        self.restart()

    def restart(self, most: int = 100) -> None:
        self.keeper = LabelKeeper(LabelShelf(self.store, self.seal, "cell", 1 << 20), self.clock, most)

    def score(self, *sequences: int) -> None:
        """Let frames be scored whose pictures are kept."""
        for sequence in sequences:
            uri = self.evidence(sequence)
            seen = {"picture_uri": uri, "picture_sha256": sha256(a_picture(sequence))}
            score = a_score(sequence, p_value=0.01).model_copy(update=seen)
            self.inbox.put_score(self._record("scores"), score)

    def evidence(self, sequence: int) -> str:
        key = f"evidence/line-1/t.frames.v1/id/0/{sequence}/picture.png"
        return self.store.put(key, a_picture(sequence))

    def say(self, label: FrameLabel, *sequences: int) -> None:
        for sequence in sequences:
            self.inbox.put_feedback(self._record("feedback"), a_feedback(f"c1/7/{sequence}", label))

    def turn(self) -> None:
        self.clock.advance(LOOK_AGAIN + timedelta(seconds=1))
        self.keeper.turn(self.inbox)

    def kept(self, trusted: TrustedKeys | None = None) -> dict[int, KeptLabel]:
        found = kept_labels(self.store, "line-1", "cell", trusted or self.seal.trusted)
        return {int(row.frame.rsplit("/", 1)[1]): row for row in found.labels}

    def pictures(self) -> int:
        return len(self.store.list("labels/line-1/cell/pictures"))

    def frames(self) -> list[tuple[str, str]]:
        found = self.keeper.frames(self.inbox, PICTURE)
        return [] if found is None else [(source.frame, source.label) for source in found.sources]

    def _record(self, field: str) -> Record:
        topic = line_topics("t", 2).by_field()[field].name
        return Record(Partition(topic, 0), 0, b"", b"", (), AT)


def test_a_label_is_kept_with_its_picture_which_outlives_the_evidence() -> None:
    desk = Desk()
    desk.score(1, 2)
    desk.say("defect", 1)
    desk.say("good", 2)
    desk.turn()
    desk.store.delete("evidence")
    row = desk.kept()[1]
    assert (row.label, row.who, row.model_version, row.without) == ("defect", "ann", 3, None)
    assert row.picture == f"labels/line-1/cell/pictures/{sha256(a_picture(1))}.png"
    assert desk.store.get(row.picture) == a_picture(1)
    assert desk.frames() == [("c1/7/1", "defect"), ("c1/7/2", "good")]
    desk.restart()
    assert desk.frames() == [("c1/7/1", "defect"), ("c1/7/2", "good")]


def test_a_label_without_a_picture_is_kept_with_the_word_for_it() -> None:
    desk = Desk()
    desk.score(1, 2)
    desk.store.delete(f"evidence/line-1/t.frames.v1/id/0/{1}/picture.png")
    desk.store.put("evidence/line-1/t.frames.v1/id/0/2/picture.png", b"another")
    desk.say("defect", 1, 2, 3)
    desk.turn()
    assert [row.without for row in desk.kept().values()] == ["gone", "changed", "unknown"]
    assert kept_labels(desk.store, "line-1", "cell").without_picture == 3
    assert desk.frames() == []
    desk.score(3)  # its score was read after its label
    desk.turn()
    assert desk.frames() == [("c1/7/3", "defect")]


def test_a_label_taken_back_takes_its_picture_with_it() -> None:
    desk = Desk()
    desk.score(1)
    desk.say("defect", 1)
    desk.turn()
    assert desk.pictures() == 1
    desk.say("withdrawn", 1)
    desk.turn()
    assert (desk.kept(), desk.pictures(), desk.frames()) == ({}, 0, [])


def test_another_label_of_a_frame_keeps_its_picture() -> None:
    desk = Desk()
    desk.score(1)
    desk.say("defect", 1)
    desk.turn()
    desk.store.delete("evidence")
    desk.say("good", 1)
    desk.turn()
    assert desk.frames() == [("c1/7/1", "good")]
    assert desk.pictures() == 1


def test_only_so_many_are_kept_of_each_kind_and_those_without_picture_displace_none() -> None:
    desk = Desk()
    desk.restart(most=3)
    desk.score(*range(1, 11))
    desk.say("defect", *range(1, 6))
    desk.say("good", *range(6, 11))
    desk.say("defect", *range(20, 30))
    for _ in range(3):
        desk.turn()
        assert sorted(desk.kept()) == [3, 4, 5, 8, 9, 10, 27, 28, 29]
        assert desk.pictures() == 6


def test_a_turn_copies_only_so_many_pictures_and_a_training_waits_for_the_rest() -> None:
    desk = Desk()
    desk.score(*range(1, 41))
    desk.say("defect", *range(1, 41))
    desk.keeper.turn(desk.inbox)
    assert desk.pictures() == COPIES_PER_TURN
    desk.keeper.turn(desk.inbox)
    assert desk.pictures() == 2 * COPIES_PER_TURN
    assert len(desk.frames()) == 40


def test_nothing_is_kept_before_the_topics_are_read_to_their_end() -> None:
    desk = Desk()
    desk.inbox = ProductInbox("cell", stream_rules())
    desk.say("defect", 1)
    desk.turn()
    assert desk.kept() == {}


def test_what_the_topic_does_not_say_is_used_for_nothing() -> None:
    """Every scorer may write to the store; without keys its list is believed no further than the topic."""
    desk = Desk()
    desk.score(1)
    desk.say("defect", 1)
    desk.turn()
    desk.inbox = ProductInbox("cell", stream_rules())
    desk.inbox.end_history()
    desk.restart()
    assert desk.frames() == []
    assert list(desk.kept()) == [1]  # nor is it thrown away: a topic that was lost may be why


@pytest.mark.parametrize("picture", ["evidence/x", "../x", "labels/line-1/cell/pictures/0.png", ""])
def test_a_list_that_names_another_object_as_a_picture_gives_none(picture: str) -> None:
    desk = Desk()
    desk.score(1)
    desk.say("defect", 1)
    desk.turn()
    forged = desk.kept()[1].model_copy(update={"picture": picture})
    LabelShelf(desk.store, desk.seal, "cell", 1 << 20).write([forged])
    desk.restart()
    assert desk.frames() == []


def test_a_picture_that_the_score_does_not_vouch_for_is_replaced_by_the_one_that_it_does() -> None:
    desk = Desk()
    desk.score(1)
    desk.say("defect", 1)
    desk.turn()
    other = sha256(a_picture(99))
    key = desk.store.put(f"labels/line-1/cell/pictures/{other}.png", a_picture(99))
    forged = desk.kept()[1].model_copy(update={"picture": desk.store.key(key), "picture_sha256": other})
    LabelShelf(desk.store, desk.seal, "cell", 1 << 20).write([forged])
    desk.restart()
    desk.turn()
    assert desk.kept()[1].picture_sha256 == sha256(a_picture(1))


def test_a_picture_that_was_changed_in_the_store_is_not_used() -> None:
    desk = Desk()
    desk.score(1)
    desk.say("defect", 1)
    desk.turn()
    desk.store.put(desk.kept()[1].picture or "", a_picture(99))
    assert desk.frames() == []


def test_where_keys_are_trusted_a_list_that_the_trainer_has_not_signed_is_none() -> None:
    signer = Signer.new()
    trusted = TrustedKeys.parse(signer.public_pem())
    desk = Desk(EventSeal("line-1", trusted, signer))
    desk.score(1)
    desk.say("defect", 1)
    desk.turn()
    assert list(desk.kept(trusted)) == [1]
    key = index_key("line-1", "cell")
    desk.store.put(key, desk.store.get(key).replace(b'"ann"', b'"eve"'))
    assert desk.kept(trusted) == {}
    problem = kept_labels(desk.store, "line-1", "cell", trusted).problem
    assert problem is not None
    assert problem.startswith("wrong_signature")
    desk.restart()
    assert desk.frames() == [("c1/7/1", "defect")]  # made anew from topic and evidence


@pytest.mark.parametrize("data", [b"", b"\n", b"\n{", b"\xff\n[]", b"\n" + b"[" * 100_000])
def test_a_list_that_cannot_be_read_is_made_anew(data: bytes) -> None:
    desk = Desk()
    desk.store.put(index_key("line-1", "cell"), data)
    assert kept_labels(desk.store, "line-1", "cell").problem is not None
    desk.score(1)
    desk.say("defect", 1)
    desk.turn()
    assert list(desk.kept()) == [1]


def test_a_product_without_labels_has_none_and_no_problem() -> None:
    assert kept_labels(Desk().store, "line-1", "cell") == ProductLabels("cell")


class StoreAway(Store):
    """A store that does not answer."""

    @override
    def get(self, uri_or_key: str, most_bytes: int | None = None) -> bytes:
        raise StoreUnavailable("away")

    @override
    def exists(self, uri_or_key: str) -> bool:
        raise StoreUnavailable("away")


def test_while_the_store_is_away_nothing_is_called_gone() -> None:
    desk = Desk()
    desk.score(1)
    desk.say("defect", 1)
    here = desk.store
    desk.store = StoreAway("memory://x")
    desk.restart()
    with pytest.raises(StoreUnavailable):
        desk.turn()
    desk.store = here
    desk.restart()
    desk.turn()
    assert desk.frames() == [("c1/7/1", "defect")]
