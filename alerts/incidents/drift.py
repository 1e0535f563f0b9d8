"""Drift of one camera's scores: frames judged normal that no longer score like those of the calibration.

The conformal p-values of normal frames are even over the two halves of the calibration, up to a tolerance:
that the calibration is itself a sample, and that light and parts vary. Against every distribution within the
tolerance we bet, on either half, and add the bets up as a Shiryaev-Roberts e-detector (Shin, Ramdas, Rinaldo:
E-detectors, a nonparametric framework for sequential change detection, 2022, arXiv:2203.03532): looking after
every frame is allowed, and as long as nothing drifts an alarm comes once in ``false_alarm_frames`` of the
frames looked at, or more rarely.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from alerts.incidents.bets import BETS, Wealth, payoffs
from alerts.incidents.change import Opening, Subject, merged, of_kinds, opened, resolved
from alerts.incidents.incident import Incident, IncidentChange
from steadyline.alert_rules import DriftRules
from steadyline.contracts.alert import DriftBin, DriftFacts
from steadyline.contracts.message import Part
from steadyline.contracts.score import Score

_SHARE_WEIGHT = 0.01  # of the newest frame in the share that is shown: about the last hundred
_BLOCK = 200  # frames looked at, after which an open incident may be over
_TENTHS = 10
_CALIBRATED_WITH = 8  # frames, of which four may be defective
_NO_BINS = (0,) * _TENTHS


class DriftMemory(Part):
    """What is remembered of one camera's normal scores since its model or its calibration changed."""

    calibration: tuple[int, int]  # versions of the model and of its threshold
    skipped: int = 0  # normal frames since the last one looked at
    evidence: tuple[float, ...] = (0.0,) * BETS  # of each bet, since the last alarm
    wealth: Wealth = Wealth()  # of the same bets, since the calibration or the last incident
    bins: tuple[int, ...] = _NO_BINS  # frames looked at by the tenth that they are in, lowest scores first
    bins_before: tuple[int, ...] = _NO_BINS  # those of the block before
    lower: float = 0.5  # share of the last frames in the half of the calibration with the higher scores
    block: int = 0  # frames looked at, and those of them in that half, while an incident is open
    block_lower: int = 0
    incident: str | None = None


@dataclass(frozen=True, slots=True)
class SeenNormal:
    """The score of a frame judged normal; ``rate`` is the share of normals that its threshold leaves out."""

    score: Score
    subject: Subject
    rules: DriftRules
    rate: float


def observe_drift(
    memory: DriftMemory | None, incidents: Sequence[Incident], seen: SeenNormal
) -> tuple[DriftMemory, list[IncidentChange]]:
    """Take one normal frame in, of which every so many are looked at."""
    score, known = seen.score, of_kinds(incidents, ("score_drift",))
    calibration = (score.model_version, score.threshold_version)
    if memory is None or memory.calibration != calibration:
        why = f"version {calibration[0]} with threshold {calibration[1]} has another calibration"
        return DriftMemory(calibration=calibration), [resolved(one, score.captured_at, why) for one in known]
    if memory.incident is not None and not known:  # a person has closed it: all begins anew
        memory = DriftMemory(calibration=calibration)
    if memory.skipped + 1 < seen.rules.every:
        return memory.model_copy(update={"skipped": memory.skipped + 1}), []
    place = (score.p_value - seen.rate) / (1 - seen.rate)  # even between 0 and 1 while nothing drifts
    is_lower = place <= 0.5
    memory = _binned(_bet(memory, is_lower, seen.rules), place)
    return _close(memory, known, seen, is_lower) if known else _open(memory, seen)


def _bet(memory: DriftMemory, is_lower: bool, rules: DriftRules) -> DriftMemory:
    """Return the memory with the bets on this frame paid out."""
    paid = payoffs(is_lower, 0.5 + rules.tolerance)
    evidence = tuple(
        min((before + 1) * factor, 1e300) for before, factor in zip(memory.evidence, paid, strict=True)
    )
    lower = memory.lower + _SHARE_WEIGHT * (is_lower - memory.lower)
    update = {"skipped": 0, "evidence": evidence, "lower": lower, "wealth": memory.wealth.after(paid)}
    return memory.model_copy(update=update)


def _binned(memory: DriftMemory, place: float) -> DriftMemory:
    """Return the memory with this frame in the histogram, which begins anew after each block."""
    tenth = _TENTHS - 1 - min(max(int(place * _TENTHS), 0), _TENTHS - 1)
    is_full = sum(memory.bins) >= _BLOCK
    bins = _NO_BINS if is_full else memory.bins
    update: dict[str, object] = {"bins": (*bins[:tenth], bins[tenth] + 1, *bins[tenth + 1 :])}
    return memory.model_copy(update={**update, "bins_before": memory.bins} if is_full else update)


def _facts(memory: DriftMemory) -> DriftFacts:
    recent = map(sum, zip(memory.bins, memory.bins_before, strict=True))
    bins = [DriftBin(calibration=1 / _TENTHS, recent=count) for count in recent]
    return DriftFacts(looked_at=memory.wealth.looked_at, p_value=memory.wealth.p_value, bins=bins)


def _open(memory: DriftMemory, seen: SeenNormal) -> tuple[DriftMemory, list[IncidentChange]]:
    score, rules = seen.score, seen.rules
    evidence = sum(memory.evidence) / len(memory.evidence)
    if evidence < rules.false_alarm_frames:
        return memory, []
    stakes = BETS // 2
    is_higher = sum(memory.evidence[:stakes]) > sum(memory.evidence[stakes:])
    share = memory.lower if is_higher else 1 - memory.lower
    way = "higher" if is_higher else "lower"
    opening = Opening(
        "score_drift",
        "warning",
        score.captured_at,
        score.frame,
        f"Camera {seen.subject.camera}, {seen.subject.product}: good frames score {way} than the calibration",
        f"about {share:.0%} of the last normal frames up to {score.frame} are in the {way} half of the "
        f"calibration of version {score.model_version}; the evidence {evidence:.3g} reaches "
        f"{rules.false_alarm_frames:g} (tolerance {rules.tolerance:g}, one frame of {rules.every}); p "
        f"{memory.wealth.p_value:.3g} over all {memory.wealth.looked_at} frames looked at. "
        f"Where the light has changed, steadyline calibrate --camera {seen.subject.camera} --last "
        f"{_CALIBRATED_WITH} puts it right",
        drift=_facts(memory),
    )
    change = opened(seen.subject, opening)
    update = {"evidence": (0.0,) * BETS, "block": 0, "block_lower": 0, "incident": change.incident.id}
    return memory.model_copy(update=update), [change]


def _close(
    memory: DriftMemory, known: Sequence[Incident], seen: SeenNormal, is_lower: bool
) -> tuple[DriftMemory, list[IncidentChange]]:
    block, lower = memory.block + 1, memory.block_lower + is_lower
    if block < _BLOCK:
        update = {"block": block, "block_lower": lower, "incident": known[0].id}
        return memory.model_copy(update=update), []
    facts, at = _facts(memory), seen.score.captured_at
    shown = [one.with_changes(drift=facts) for one in known]
    if abs(lower / block - 0.5) > seen.rules.tolerance:
        still = f"{lower / block:.0%} of the last {block} normal frames looked at are in the higher half"
        fresh = memory.model_copy(update={"block": 0, "block_lower": 0})
        return fresh, [merged(one, at, still) for one in shown]
    why = (
        f"{lower / block:.0%} of the last {block} normal frames looked at are in the higher half of the "
        f"calibration, within tolerance {seen.rules.tolerance:g}"
    )
    return DriftMemory(calibration=memory.calibration), [resolved(one, at, why) for one in shown]
