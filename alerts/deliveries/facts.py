"""The figures of an alert in words, for channels that are read by people."""

from collections.abc import Iterator

from steadyline.contracts.alert import Alert, AnomalyFacts, BudgetFacts, DriftFacts


def figures_in_words(alert: Alert) -> Iterator[tuple[str, str]]:
    """Yield what each figure is called, and the figure, of whatever the alert is about."""
    if alert.anomaly is not None:
        yield from _anomaly(alert.anomaly)
    if alert.budget is not None:
        yield from _budget(alert.budget)
    if alert.drift is not None:
        yield from _drift(alert.drift)


def _anomaly(facts: AnomalyFacts) -> Iterator[tuple[str, str]]:
    yield "Score", f"{facts.score:g}, threshold {facts.threshold:g}"
    yield "Frame", facts.worst_frame
    if facts.part is not None:
        yield "Part", facts.part
    if facts.area is not None:
        yield "Area", f"{facts.area:.2%} of the map is above the threshold"
    if facts.certified_margin is not None:
        yield "Certified", f"no change of {facts.certified_margin}/255 or less turns this verdict"


def _budget(facts: BudgetFacts) -> Iterator[tuple[str, str]]:
    window = f"{facts.window_seconds / 60:g} min"
    yield "Promised", f"{facts.promised:.2%} of normal frames judged anomalous at most"
    yield "Observed", f"{facts.observed:.2%} of {facts.frames} frames in the last {window}"
    yield "Burn rate", f"{facts.burn_rate:.3g} times what is promised"


def _drift(facts: DriftFacts) -> Iterator[tuple[str, str]]:
    yield "p-value", f"{facts.p_value:.3g}, over {facts.looked_at} normal frames looked at"
    recent = sum(one.recent for one in facts.bins)
    if recent:
        calibration = ", ".join(f"{one.calibration:.0%}" for one in facts.bins)
        yield "Calibration", f"{calibration} in its tenths, lowest scores first"
        shares = ", ".join(f"{one.recent / recent:.0%}" for one in facts.bins)
        yield "Last frames", f"{shares} of {recent} in the same tenths"
