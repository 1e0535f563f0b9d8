"""The gate's second look: what candidate and live model say of the frames that people judged."""

from dataclasses import replace

from steadyline.line import GateSection
from trainer.jobs.spec import LabelledFigures
from trainer.lifecycle.gate import DAILY_LIMIT, Ruling

LOST = "labelled_lost"
MOST_NAMED = 3  # lost frames that the reason names


def with_labels(ruling: Ruling, labelled: LabelledFigures | None, limits: GateSection) -> Ruling:
    """Return the ruling with the labelled frames counted in its figures and told in its reason.

    A candidate that loses more labelled defects than ``gate.labelled_drop`` allows is refused, also one that
    came too soon: a person may promote that one, and must not overlook this.
    """
    if labelled is None:
        return ruling
    figures = {**ruling.figures, **_figures(labelled)}
    refusal = _lost(labelled, limits)
    if refusal is not None and (ruling.accepted or ruling.reason.startswith(DAILY_LIMIT)):
        return Ruling(False, refusal, figures)
    return replace(ruling, reason=f"{ruling.reason}; {_told(labelled)}", figures=figures)


def _lost(labelled: LabelledFigures, limits: GateSection) -> str | None:
    lost, found = len(labelled.lost), labelled.live_found or 0
    if lost <= limits.labelled_drop * found + 1e-9:
        return None
    named = ", ".join(labelled.lost[:MOST_NAMED]) + (", …" if lost > MOST_NAMED else "")
    return (
        f"{LOST}: {lost} of the {found} labelled defects that the live model finds are missed ({named}), "
        f"at most {limits.labelled_drop:g} of them may be lost (gate.labelled_drop)"
    )


def _told(labelled: LabelledFigures) -> str:
    found, alarms = str(labelled.candidate_found), str(labelled.candidate_alarms)
    if labelled.live_found is not None and labelled.live_alarms is not None:
        found, alarms = f"{labelled.live_found} → {found}", f"{labelled.live_alarms} → {alarms}"
    return (
        f"labelled defects found {found} of {labelled.defects}, alarms on labelled goods {alarms} of "
        f"{labelled.goods}"
    )


def _figures(labelled: LabelledFigures) -> dict[str, float]:
    figures: dict[str, float] = {
        "labelled_defects": labelled.defects,
        "labelled_goods": labelled.goods,
        "labelled_lost": len(labelled.lost),
    }
    for who, found, alarms in (
        ("candidate", labelled.candidate_found, labelled.candidate_alarms),
        ("live", labelled.live_found, labelled.live_alarms),
    ):
        if found is not None and labelled.defects:
            figures[f"{who}_labelled_detection_rate"] = round(found / labelled.defects, 4)
        if alarms is not None and labelled.goods:
            figures[f"{who}_labelled_alarm_rate"] = round(alarms / labelled.goods, 4)
    return figures
