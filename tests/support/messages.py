"""Strategies that draw any message a service may write."""

import math
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from steadyline.contracts.alert import Alert, AnomalyFacts, Region
from steadyline.contracts.camera_status import CameraStatus
from steadyline.contracts.feedback import Feedback, MarkedRegion
from steadyline.contracts.frame import Frame, FrameId
from steadyline.contracts.message import JsonMessage
from steadyline.contracts.model_command import ModelCommand
from steadyline.contracts.model_event import (
    Calibration,
    Change,
    EncodedProbe,
    Health,
    Model,
    ModelEvent,
    Package,
    Probe,
    conformal_rank,
)
from steadyline.contracts.score import Peak, Score, Verdict
from steadyline.contracts.station import Followed, Station, StationReference

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

certificates = st.none() | st.tuples(st.sampled_from(["normal", "anomalous"]), st.integers(0, 255))


def _score(certificate: tuple[Verdict, int] | None, **fields: Any) -> Score:
    verdict, margin = certificate or (None, None)
    return Score(certified_verdict=verdict, certified_margin=margin, **fields)


scores = st.builds(
    _score,
    certificates,
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
    spoke=st.none() | st.sampled_from(["patch", "robust"]),
)


@st.composite
def _runs(draw: st.DrawFn) -> list[tuple[int, int, str]]:
    """Draw ascending runs without overlap, as an account lists them."""
    bounds = sorted(draw(st.sets(st.integers(1, INT64 - 1), max_size=6)))
    pairs = zip(bounds[::2], bounds[1::2], strict=False)
    return [(first, last, draw(words)) for first, last in pairs]


camera_statuses = st.builds(
    CameraStatus,
    camera=names,
    product=names,
    epoch=st.integers(1, INT64),
    at=moments,
    state=st.sampled_from(["up", "down", "frozen", "dark", "bright", "blurred", "slow", "ended"]),
    reason=words,
    sequence=st.just(INT64),
    captured=counts,
    published=counts,
    pending=counts,
    dropped=st.dictionaries(words, counts, max_size=3),
    dropped_sequences=_runs(),
    state_counts=st.dictionaries(words, counts, max_size=3),
)

model_commands = st.builds(
    ModelCommand,
    product=names,
    action=st.sampled_from(["promote", "rollback", "retrain", "shadow", "calibrate", "uncalibrate"]),
    version=st.none() | versions,
    who=words,
    at=moments,
    why=words,
    camera=st.none() | names,
    pictures=st.lists(hexes, max_size=3),
    dry_run=st.booleans(),
)


def _calibration(scores: list[float], rate: float) -> Calibration:
    ordered = sorted(scores)
    threshold = ordered[conformal_rank(len(ordered), rate) - 1]
    return Calibration(scores=ordered, threshold=threshold, achieved_rate=rate, rate=rate)


_calibrations = st.builds(
    _calibration,
    scores=st.lists(figures.filter(math.isfinite), min_size=1, max_size=4),
    rate=st.floats(0.001, 0.999),
)

_tables = st.builds(
    lambda own, others: {**others, "*": own},
    _calibrations,
    st.dictionaries(names, _calibrations, max_size=1),
)

_references = st.builds(
    StationReference,
    means=st.lists(st.floats(0, 255), min_size=1, max_size=1),
    deviations=st.lists(st.floats(0, 128), min_size=1, max_size=1),
    field=st.lists(st.integers(0, 255).map(float), min_size=64, max_size=64),
    is_aligned=st.booleans(),
)
_stations = st.builds(
    Station,
    kind=st.sampled_from(["shift", "affine", "white_balance", "gradient"]),
    gains=st.lists(st.floats(0.25, 4), min_size=1, max_size=1),
    offsets=st.lists(st.floats(-255, 255), min_size=1, max_size=1),
    slopes=st.just([]) | st.lists(st.floats(-1, 1), min_size=2, max_size=2),
    threshold_shift=st.just(0.0),
    pictures=st.integers(1, 64),
    pictures_digest=hexes,
    at=moments,
    who=words,
    figures=st.dictionaries(words, figures, max_size=2),
    followed=st.none()
    | st.builds(
        Followed,
        shift=figures.filter(math.isfinite),
        wanted=figures.filter(math.isfinite),
        scores=st.integers(1, 1152),
        first=moments,
        last=moments,
        at=moments,
        figures=st.dictionaries(words, figures, max_size=2),
    ),
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
    calibrations=_tables,
    certified_calibrations=st.just({}) | _tables,
    halves=st.sampled_from([[], ["patch", "robust"]]),
    probes=st.lists(
        st.builds(
            Probe,
            picture_png=words,
            score=figures.filter(math.isfinite),
            tolerance=st.floats(0, 1, exclude_min=True),
            certified_score=st.none() | figures.filter(math.isfinite),
        ),
        max_size=2,
    ),
    encoded_probes=st.lists(
        st.builds(
            EncodedProbe,
            encoding=words,
            frame=words,
            score=figures.filter(math.isfinite),
            tolerance=st.floats(0, 1, exclude_min=True),
            x=st.floats(0, 1, exclude_max=True),
            y=st.floats(0, 1, exclude_max=True),
        ),
        max_size=1,
    ),
    lineage=st.dictionaries(words, words, max_size=2),
    figures=st.dictionaries(words, figures, max_size=2),
    references=st.dictionaries(names, _references, max_size=1),
    stations=st.dictionaries(names, _stations, max_size=1),
    ordered_since=st.dictionaries(names, versions, max_size=1),
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
    commands_topic=words,
    fencing_token=st.integers(0, 2**53 - 1),
    best=st.dictionaries(words, figures, max_size=2),
)

alerts = st.builds(
    Alert,
    incident=st.from_regex(r"\A[0-9a-f]{32}\Z"),
    sequence=st.integers(1, INT64),
    at=moments,
    who=st.none() | words,
    why=words,
    suppressed=counts,
    summary=words,
    camera=st.none() | names,
    product=st.none() | names,
    opened_at=moments,
    assigned_to=st.none() | words,
    snoozed_until=st.none() | moments,
    comment=st.none() | words,
    anomaly=st.none()
    | st.builds(
        AnomalyFacts,
        first_frame=frame_ids.map(str),
        last_frame=frame_ids.map(str),
        frames=counts,
        worst_frame=frame_ids.map(str),
        score=figures.filter(math.isfinite),
        threshold=figures.filter(math.isfinite),
        p_value=st.floats(0, 1, exclude_min=True),
        model_version=versions,
        region=st.builds(Region, x=fractions, y=fractions),
        picture_uri=st.none() | words,
        map_uri=st.none() | words,
        certified_margin=st.none() | st.integers(0, 255),
    ),
)

feedback = st.builds(
    Feedback,
    frame=frame_ids.map(str),
    camera=names,
    product=names,
    region=st.none()
    | st.builds(
        MarkedRegion,
        x=st.floats(0, 0.5),
        y=st.floats(0, 0.5),
        width=st.floats(0.01, 0.5),
        height=st.floats(0.01, 0.5),
    ),
    who=words.filter(bool),
    at=moments,
    note=st.none() | words,
)

by_model: dict[type[JsonMessage], st.SearchStrategy[JsonMessage]] = {
    Score: scores,
    CameraStatus: camera_statuses,
    ModelEvent: model_events,
    ModelCommand: model_commands,
    Alert: alerts,
    Feedback: feedback,
}
json_messages = st.one_of(*by_model.values())
