"""What the trainer announces of a product's models becomes incidents, once each."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from alerts.incidents import acts
from alerts.incidents.observation import ModelSeen
from steadyline.contracts.model_event import Health, ModelEvent
from tests.support.incidents import DAY, RuleRun, a_line
from tests.support.model_history import a_model
from trainer.lifecycle import transitions
from trainer.lifecycle.transitions import Step

PASSED = ("model_promoted", "opened"), ("model_promoted", "resolved")


class ModelStory:
    """The events of one product, an hour apart."""

    def __init__(self) -> None:
        self.events = [transitions.nothing_yet("cell", DAY)]

    @property
    def now(self) -> datetime:
        return DAY + timedelta(hours=len(self.events))

    def _say(self, event: ModelEvent) -> "ModelStory":
        self.events.append(event.model_copy(update={"sequence": len(self.events)}))
        return self

    def train(self, version: int) -> "ModelStory":
        return self._say(transitions.add(self.events[-1], a_model(version), self.now))

    def promote(self, version: int) -> "ModelStory":
        step = Step(version, "live", "passed", self.now)
        return self._say(transitions.go_live(self.events[-1], step, {}))

    def reject(self, version: int, reason: str = "robust_drop: 0.2") -> "ModelStory":
        step = Step(version, "rejected", reason, self.now)
        return self._say(transitions.reject(self.events[-1], step, {}))

    def note(self, version: int) -> "ModelStory":
        return self._say(transitions.note(self.events[-1], version, "refused: promote by ada", self.now))

    def health(self, version: int, is_blind: bool) -> "ModelStory":
        found = Health(
            at=self.now,
            version=version,
            state="blind" if is_blind else "seeing",
            reason="it finds 1 of 16",
            detection={},
            false_alarm_rate=0,
        )
        return self._say(transitions.with_health(self.events[-1], found))

    def seen(self) -> list[ModelSeen]:
        return [ModelSeen(event) for event in self.events]


def run(story: ModelStory) -> RuleRun:
    return RuleRun(a_line()).observe(*story.seen())


def test_a_version_that_goes_live_is_told_and_over_at_once() -> None:
    going = run(ModelStory().train(1).promote(1))
    assert going.told == list(PASSED)
    assert [change.notify for change in going.changes] == [True, False]
    assert (going.changes[0].incident.severity, going.changes[0].incident.product) == ("info", "cell")


def test_a_refused_version_stands_until_another_is_decided_on() -> None:
    going = run(ModelStory().train(1).promote(1).train(2).reject(2))
    assert [one.kind for one in going.standing] == ["model_refused"]
    assert "robust_drop: 0.2" in going.changes[-1].why
    going = run(ModelStory().train(1).promote(1).train(2).reject(2).train(3).promote(3))
    assert going.told[2:] == [("model_refused", "opened"), ("model_refused", "resolved"), *PASSED]


def test_a_training_that_failed_is_a_refused_version_and_a_refused_order_is_not() -> None:
    going = run(ModelStory().note(9).reject(1, "training_failed: out_of_memory: killed").note(1))
    assert going.told == [("model_refused", "opened")]


def test_going_back_to_a_version_that_was_live_is_a_rollback() -> None:
    going = run(ModelStory().train(1).promote(1).train(2).promote(2).promote(1))
    assert going.told[4:] == [("model_rolled_back", "opened")]


def test_a_blind_model_is_told_once_and_over_when_it_sees() -> None:
    story = (
        ModelStory()
        .train(1)
        .promote(1)
        .health(1, False)
        .health(1, True)
        .health(1, True)
        .note(1)
        .health(1, False)
    )
    going = run(story)
    assert going.told[2:] == [("model_blind", "opened"), ("model_blind", "resolved")]
    assert going.changes[2].incident.severity == "critical"


def test_a_blind_model_that_is_replaced_is_over_and_the_next_blind_one_is_another_incident() -> None:
    replaced = ModelStory().train(1).promote(1).health(1, True).train(2).promote(2)
    assert ("model_blind", "resolved") in run(replaced).told
    going = run(replaced.health(2, True))
    assert [one.summary for one in going.standing] == ["Version 2 of cell has gone blind: it finds 1 of 16"]
    compacted = RuleRun(a_line()).observe(*replaced.seen()[3:4], *replaced.seen()[-1:])
    assert [kind for kind, change in compacted.told if change == "opened"].count("model_blind") == 2
    assert len(compacted.standing) == 1


def test_a_person_who_has_closed_a_blind_model_is_not_asked_again() -> None:
    story = ModelStory().train(1).promote(1).health(1, True)
    going = run(story)
    (incident,) = going.standing
    going.act(acts.resolve(incident, "ada", DAY))
    assert going.observe(*story.health(1, True).seen()[-1:]).standing == []


def test_a_history_that_was_there_before_us_is_not_told_again() -> None:
    story = ModelStory().train(1).promote(1).train(2).reject(2).train(3)
    assert RuleRun(a_line()).observe(story.seen()[-1]).told == []
    story.reject(3)
    assert RuleRun(a_line()).observe(story.seen()[-1]).told == [("model_refused", "opened")]


def test_an_event_of_a_trainer_without_its_lease_changes_nothing() -> None:
    story = ModelStory().train(1).promote(1)
    late = story.events[-1].model_copy(update={"sequence": 99, "fencing_token": 1, "at": story.now})
    newer = story.events[-1].model_copy(update={"sequence": 3, "fencing_token": 2})
    rejected = transitions.reject(late, Step(1, "rejected", "no", story.now), {})
    going = RuleRun(a_line()).observe(ModelSeen(newer), ModelSeen(rejected))
    assert (going.ignored, going.told) == ([None, "outdated"], list(PASSED))


def test_a_model_of_another_product_is_passed_over() -> None:
    stray = transitions.nothing_yet("door", DAY)
    assert RuleRun(a_line()).observe(ModelSeen(stray)).ignored == ["unknown_product"]


@given(
    st.lists(st.sampled_from(["promote", "reject", "blind", "seeing", "note", "back"]), max_size=12),
    st.data(),
)
def test_a_replay_of_events_gives_the_same_however_it_is_cut(
    acts_: Sequence[str], data: st.DataObject
) -> None:
    story, version, live = ModelStory().train(1).promote(1), 1, [1]
    for act in acts_:
        match act:
            case "promote" | "reject":
                version += 1
                story.train(version)
                if act == "promote":
                    story.promote(version)
                    live.append(version)
                else:
                    story.reject(version)
            case "back":
                live.append(live[-2] if len(live) > 1 else live[-1])
                story.promote(live[-1])
            case "note":
                story.note(live[-1])
            case _:
                story.health(live[-1], act == "blind")
    once, going = run(story), RuleRun(a_line())
    seen = story.seen()
    for number in range(len(seen)):
        going.observe(*seen[max(0, number - data.draw(st.integers(0, 3))) : number + 1])
    assert going.incidents == once.incidents
    assert going.changes == once.changes
    assert len([one for one in once.standing if one.kind == "model_blind"]) <= 1
