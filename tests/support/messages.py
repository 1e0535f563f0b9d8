"""Strategies that draw any message a service may write."""

from datetime import UTC, datetime

from hypothesis import strategies as st

from steadyline.contracts.camera_status import CameraStatus
from steadyline.contracts.frame import Frame, FrameId
from steadyline.contracts.message import JsonMessage
from steadyline.contracts.model_command import ModelCommand
from steadyline.contracts.model_event import (
    Calibration,
    Change,
    Health,
    Model,
    ModelEvent,
    Package,
    Probe,
)
from steadyline.contracts.score import Peak, Score

INT64 = 2**63 - 1

names = st.from_regex(r"\A[a-z0-9]([a-z0-9_.-]{0,20}[a-z0-9])?\Z")
words = st.text(st.characters(codec="utf-8"), max_size=30)
moments = st.datetimes(datetime(2001, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
figures = st.floats(allow_nan=False)
fractions = st.floats(0, 1)
counts = st.integers(0, INT64)
versions = st.integers(1, 10_000)
hexes = st.from_regex(r"\A[0-9a-f]{64}\Z")
traceparents = st.none() | st.from_regex(r"\A00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]\Z")
states = st.sampled_from(["candidate", "shadow", "canary", "live", "retired", "rejected"])
frame_ids = st.builds(FrameId, names, st.integers(1, INT64), st.integers(1, INT64))

frames = st.builds(
    Frame, frame_ids, names, names, moments, st.sampled_from(["image/jpeg", "image/png"]), st.binary(),
    traceparents,
)  # fmt: skip

scores = st.builds(
    Score,
    frame=frame_ids.map(str),
    camera=names,
    product=names,
    captured_at=moments,
    scored_at=moments,
    model_version=versions,
    score=figures,
    p_value=st.floats(0, 1, exclude_min=True),
    threshold=figures,
    threshold_version=versions,
    verdict=st.sampled_from(["normal", "anomalous"]),
    peak=st.builds(Peak, x=fractions, y=fractions, value=figures),
    source_partition=counts,
    source_offset=counts,
    picture_uri=st.none() | words,
    map_uri=st.none() | words,
    picture_sha256=st.none() | hexes,
)

camera_statuses = st.builds(
    CameraStatus,
    camera=names,
    product=names,
    epoch=st.integers(1, INT64),
    at=moments,
    state=st.sampled_from(["up", "down", "frozen", "dark", "bright", "blurred", "slow", "ended"]),
    reason=words,
    sequence=counts,
    captured=counts,
    published=counts,
    pending=counts,
    dropped=st.dictionaries(words, counts, max_size=3),
    dropped_sequences=st.lists(st.tuples(counts, counts, words), max_size=3),
    state_counts=st.dictionaries(words, counts, max_size=3),
)

model_commands = st.builds(
    ModelCommand,
    product=names,
    action=st.sampled_from(["promote", "rollback", "retrain", "shadow"]),
    version=st.none() | versions,
    who=words,
    at=moments,
    why=words,
)

_calibrations = st.builds(
    Calibration, scores=st.lists(figures, min_size=1, max_size=4), threshold=figures, achieved_rate=fractions
)

_models = st.builds(
    Model,
    version=versions,
    detector=names,
    state=states,
    reason=words,
    trained_at=moments,
    size=st.integers(8, 1024),
    channels=st.sampled_from(["gray", "rgb"]),
    package=st.builds(Package, uri=words, digests=st.dictionaries(names, hexes, max_size=2)),
    threshold_version=versions,
    calibrations=st.dictionaries(names | st.just("*"), _calibrations, max_size=2),
    probes=st.lists(
        st.builds(Probe, picture_png=words, score=figures, tolerance=st.floats(0, 1, exclude_min=True)),
        max_size=2,
    ),
    lineage=st.dictionaries(words, words, max_size=2),
    figures=st.dictionaries(words, figures, max_size=2),
)

model_events = st.builds(
    ModelEvent,
    product=names,
    at=moments,
    live_version=st.none() | versions,
    models=st.lists(_models, max_size=2),
    changes=st.lists(
        st.builds(
            Change,
            at=moments,
            version=versions,
            before=st.none() | states,
            after=states,
            reason=words,
            figures=st.dictionaries(words, figures, max_size=2),
        ),
        max_size=2,
    ),
    health=st.none()
    | st.builds(
        Health,
        at=moments,
        version=versions,
        state=st.sampled_from(["seeing", "blind"]),
        reason=words,
        detection=st.dictionaries(words, fractions, max_size=2),
        false_alarm_rate=fractions,
    ),
    commands_until=counts,
)

by_model: dict[type[JsonMessage], st.SearchStrategy[JsonMessage]] = {
    Score: scores,
    CameraStatus: camera_statuses,
    ModelEvent: model_events,
    ModelCommand: model_commands,
}
json_messages = st.one_of(*by_model.values())
