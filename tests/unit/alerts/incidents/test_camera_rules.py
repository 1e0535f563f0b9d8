"""What a camera says of itself opens incidents that end once it is up again."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.incidents import acts
from alerts.incidents.camera_rules import BAD_STATES
from alerts.incidents.observation import StatusSeen
from steadyline.contracts.camera_status import CameraState, CameraStatus
from tests.support.incidents import DAY, RuleRun, a_line

EPOCH = 7
STATES: list[CameraState] = ["up", *BAD_STATES, "ended"]


def a_status(second: float, state: CameraState = "up", epoch: int = EPOCH, missing: int = 0) -> StatusSeen:
    """Return what the camera c1 says a while into the day: ten frames captured."""
    return StatusSeen(
        CameraStatus(
            camera="c1",
            product="cell",
            epoch=epoch,
            at=DAY + timedelta(seconds=second),
            state=state,
            reason="too_dark" if state == "dark" else "capturing",
            sequence=10,
            captured=10,
            published=7 - missing,
            pending=1,
            dropped={"too_late": 2},
            dropped_sequences=[(4, 5, "too_late")],
        )
    )


def run(*statuses: StatusSeen) -> RuleRun:
    """Observe statuses of a line whose camera must be bad for 2 s, good for 3 s, and heard every 10 s."""
    rules = {"open_after": "2s", "close_after": "3s", "silent_after": "10s"}
    return RuleRun(a_line({"camera_states": rules})).observe(*statuses)


@pytest.mark.parametrize("state", BAD_STATES)
def test_a_bad_state_that_lasts_opens_an_incident_and_a_good_one_closes_it(state: CameraState) -> None:
    statuses = [a_status(second, "up" if second in (0, 1) or second > 5 else state) for second in range(11)]
    kind = f"camera_{state}"
    going = run(*statuses)
    assert going.told == [(kind, "opened"), (kind, "resolved")]
    opened, resolved = (change.incident for change in going.changes)
    assert (opened.opened_at, opened.camera, opened.product) == (DAY + timedelta(seconds=4), "c1", "cell")
    assert resolved.resolved_at == DAY + timedelta(seconds=9)
    assert "2 s or more (open_after)" in going.changes[0].why
    assert "3 s or more (close_after)" in going.changes[1].why


def test_a_state_that_soon_passes_is_nothing() -> None:
    assert run(*(a_status(n, "dark" if n % 4 < 2 else "up") for n in range(20))).told == []


def test_a_camera_that_flaps_keeps_one_incident_open() -> None:
    going = run(*(a_status(n, "down" if n % 5 < 3 else "up") for n in range(40)))
    assert going.told == [("camera_down", "opened")]


def test_a_camera_may_be_bad_in_two_ways_one_after_the_other() -> None:
    statuses = [a_status(n, "dark") for n in range(3)] + [a_status(n, "down") for n in range(3, 6)]
    going = run(*statuses, *(a_status(n) for n in range(6, 10)))
    assert going.told == [
        ("camera_dark", "opened"),
        ("camera_down", "opened"),
        ("camera_dark", "resolved"),
        ("camera_down", "resolved"),
    ]


def test_what_a_person_has_closed_stays_closed_until_the_camera_was_up() -> None:
    going = run(*(a_status(n, "dark") for n in range(4)))
    (incident,) = going.standing
    going.act(acts.resolve(incident, "ada", DAY))
    going.observe(*(a_status(n, "dark") for n in range(4, 9)), *(a_status(n) for n in range(9, 14)))
    assert len(going.incidents) == 1
    going.observe(*(a_status(n, "dark") for n in range(14, 18)))
    assert len(going.incidents) == 2


def test_the_end_of_an_account_closes_nothing_and_is_no_silence() -> None:
    going = run(*(a_status(n, "dark") for n in range(3)), a_status(3, "ended"))
    assert [kind for kind, _ in going.told] == ["camera_dark"]
    assert going.elapse(DAY).elapse(DAY + timedelta(hours=1)).told == [("camera_dark", "opened")]
    assert going.observe(a_status(900, epoch=8)).told == [("camera_dark", "opened")]


def test_a_camera_that_says_nothing_counts_as_down_by_our_clock_alone() -> None:
    going = run(a_status(0))
    ours = DAY + timedelta(hours=5)  # the camera's clock is far behind
    going.elapse(ours).elapse(ours + timedelta(seconds=10))
    assert going.told == []
    going.elapse(ours + timedelta(seconds=11)).elapse(ours + timedelta(seconds=30))
    assert going.told == [("camera_down", "opened")]
    assert going.changes[0].incident.opened_at == DAY + timedelta(seconds=10)
    going.observe(*(a_status(n) for n in range(40, 45)))
    assert going.told[1:] == [("camera_down", "resolved")]


def test_a_replay_finds_the_silence_that_was_told_at_its_time() -> None:
    after = [a_status(n) for n in range(40, 45)]
    ours = DAY + timedelta(hours=5)
    live = run(a_status(0)).elapse(ours).elapse(ours + timedelta(seconds=11)).observe(*after)
    assert run(a_status(0), *after).incidents == live.incidents != {}


def test_statuses_that_keep_coming_are_no_silence() -> None:
    going = run(a_status(0))
    for second in range(1, 30):
        going.elapse(DAY + timedelta(seconds=second)).observe(a_status(second))
    assert going.told == []


def test_an_account_that_does_not_add_up_is_told_with_its_sums_until_it_does() -> None:
    going = run(a_status(0), a_status(1, missing=2), a_status(2, missing=2), a_status(3))
    assert going.told == [("frames_missing", "opened"), ("frames_missing", "resolved")]
    assert "10 captured, 5 published + 2 dropped + 1 pending" in going.changes[0].why


def test_a_status_that_is_not_newer_changes_nothing() -> None:
    going = run(
        a_status(5), a_status(5, "down", missing=1), a_status(2, "down"), a_status(9, "down", epoch=6)
    )
    assert going.ignored == [None, "repeated", "late", "late"]
    assert going.told == []


@given(
    st.lists(st.tuples(st.sampled_from(STATES), st.integers(1, 15), st.booleans()), max_size=30), st.data()
)
def test_a_replay_of_statuses_gives_the_same_however_it_is_cut(
    steps: list[tuple[CameraState, int, bool]], data: st.DataObject
) -> None:
    statuses, second, epoch = [], 0, EPOCH
    for state, seconds, adds_up in steps:
        second += seconds
        statuses.append(a_status(second, state, epoch, 0 if adds_up else 1))
        epoch += state == "ended"
    once = run(*statuses)
    going = run()
    for number in range(len(statuses)):
        back = data.draw(st.integers(0, 3))
        going.observe(*statuses[max(0, number - back) : number + 1])
    assert going.incidents == once.incidents
    assert going.changes == once.changes
    going.observe(*(a_status(second + n, epoch=epoch) for n in range(1, 5)))
    assert going.standing == []
