"""Plan a product: survey the folder, measure candidates cheapest first within the budget, conclude, write."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from steadyline.errors import InvalidConfiguration
from steadyline.grid import Grid
from steadyline.picture_folder import printable
from trainer.data.mvtec import found_pictures
from trainer.detectors.registry import DETECTORS, detector_named
from trainer.jobs.served_cost import check_device
from trainer.planner.conclude import BOTH, FROZEN, ROBUST, Situation, conclude
from trainer.planner.grids import LEAST_LEFT, grids_of, left_of
from trainer.planner.line_block import line_block
from trainer.planner.look import left_out_text, promised, size_text
from trainer.planner.measure import PlanMaterial, ShortTraining
from trainer.planner.measured import Measured, rank_correlation
from trainer.planner.page import Plan, html
from trainer.planner.search import Search, SearchLimits
from trainer.planner.survey import Survey, natives, survey
from trainer.progress import ReportProgress
from trainer.pseudo.native import NativeDefect, native_defects

DEFAULT_DETECTORS = (FROZEN, BOTH, ROBUST)  # in the order in which they are tried


@dataclass(frozen=True, slots=True)
class DefectHint:
    """What is known of defects: ``side`` in camera pixels, and pictures of real ones."""

    side: int | None
    pictures: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class PlanOrder:
    """What to plan. No candidate is begun after ``minutes`` of computing."""

    data: Path
    out: Path
    product: str
    hint: DefectHint
    budget_ms: float
    minutes: float
    detectors: tuple[str, ...]
    how: ShortTraining


def chosen_detectors(named: Sequence[str]) -> tuple[str, ...]:
    """Return the detectors to try, by default those of DEFAULT_DETECTORS that are here.

    Raises InvalidConfiguration when there is none of a name.
    """
    for name in named:
        detector_named(name)
    return tuple(dict.fromkeys(named)) or tuple(name for name in DEFAULT_DETECTORS if name in DETECTORS)


def defect_hint(
    side: int | None,
    picture: Path | None,
    box: str | None,
    folder: Path | None,
    labelled: Sequence[Path] = (),
) -> DefectHint:
    """Return what the options say of defects; raises InvalidConfiguration when they contradict each other.

    The size of a box is its shorter side, which a resize averages away first. ``labelled`` are pictures that
    people on a line have labelled.
    """
    if (picture is None) != (box is None):
        raise InvalidConfiguration("--defect-from and --box go together: the picture, and x,y,w,h in it")
    if picture is not None and side is not None:
        raise InvalidConfiguration("--defect-px and --defect-from are both given: keep one")
    if box is not None:
        numbers = [int(part) for part in box.split(",") if part.strip().isdecimal()]
        if len(numbers) != 4 or min(numbers[2:]) < 1:
            raise InvalidConfiguration(f"--box {box!r}: x,y,w,h in pixels is due, 120,80,14,9 for example")
        side = min(numbers[2:])
    found: list[Path] = [] if folder is None else list(found_pictures(folder, depth=2).files)
    if folder is not None and not found:
        raise InvalidConfiguration(f"--defects {printable(folder)} has no .png or .jpg")
    return DefectHint(side, tuple([*found, *([] if picture is None else [picture]), *labelled]))


def make_plan(order: PlanOrder, on_progress: ReportProgress) -> Plan:
    """Return the plan and write ``plan.html`` and ``line.yaml`` into ``order.out``.

    A plan that was killed goes on: each measured candidate is a file there. Raises InvalidConfiguration when
    the folder, the device or an option is wrong.
    """
    check_device(order.how.device)
    try:
        order.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidConfiguration(f"--out {order.out} cannot be used: {error.strerror}") from error
    seen = survey(order.data)
    blocks = (natives(seen.blocks[0], seen.channels), natives(seen.blocks[1], seen.channels))
    held_out = [*blocks[0], *blocks[1]]
    pseudo = native_defects(held_out, order.hint.side, order.how.seed)
    material = PlanMaterial(
        trained=natives(seen.trained, seen.channels),
        blocks=blocks,
        pseudo=[defect.picture for defect in pseudo],
        drawn_into=[defect.source for defect in pseudo],
        defects=natives(order.hint.pictures, seen.channels),
        channels=seen.channels,
    )
    if not material.pseudo and not material.defects:
        raise InvalidConfiguration(
            "no defect of enough contrast can be drawn on these pictures: give known ones with --defects"
        )
    left = {grid: left_of(pseudo, held_out, grid, seen.channels) for grid in grids_of(seen.sizes) if pseudo}
    limits = SearchLimits(order.budget_ms, order.minutes)
    search = Search(order.out, _digest(order, seen), material, order.how, limits, on_progress)
    found = search.over(_worth_trying(grids_of(seen.sizes), left), order.detectors)
    bound = promised(seen.held_out, order.how.false_alarm_rate)
    situation = Situation(
        budget_ms=order.budget_ms,
        wanted_rate=order.how.false_alarm_rate,
        bound=bound,
        held_out=seen.held_out,
        side=order.hint.side,
        left=left,
        real_defects=len(order.hint.pictures),
        untried=tuple(one.name for one in search.untried),
    )
    return _written(order, seen, found, situation, pseudo)


def _worth_trying(grids: Sequence[Grid], left: dict[Grid, float]) -> list[Grid]:
    """Return the grids that leave something of the defects; all of them where none does."""
    visible = [grid for grid in grids if left.get(grid, 1.0) >= LEAST_LEFT]
    return visible or list(grids)


def _digest(order: PlanOrder, seen: Survey) -> str:
    """Return the digest of all that a candidate's figures depend on."""
    total = hashlib.sha256()
    for path in (*seen.trained, *seen.blocks[0], *seen.blocks[1], *order.hint.pictures):
        total.update(hashlib.sha256(path.read_bytes()).digest())
    total.update(json.dumps([asdict(order.how), order.hint.side, seen.channels]).encode())
    return total.hexdigest()


def _written(
    order: PlanOrder,
    seen: Survey,
    found: Sequence[Measured],
    situation: Situation,
    pseudo: Sequence[NativeDefect],
) -> Plan:
    conclusion = conclude(found, situation)
    taken, rate = conclusion.taken, situation.wanted_rate
    block = "" if taken is None else line_block(order.product, taken, order.data, seen.channels, rate)
    both = {
        one.candidate.name: (pseudo_sight.auroc, real.auroc)
        for one in found
        if (pseudo_sight := one.sight("pseudo")) is not None and (real := one.sight("defects")) is not None
    }
    plan = Plan(
        facts=facts_of(seen, situation.bound),
        measured=tuple(found),
        conclusion=conclusion,
        example=pseudo[0].picture if pseudo else None,
        left=situation.left,
        channels=seen.channels,
        block=block,
        page=order.out / "plan.html",
        agreement=rank_correlation(both),
    )
    plan.page.write_text(html(plan), encoding="utf-8")
    (order.out / "line.yaml").write_text(block, encoding="utf-8")
    return plan


def facts_of(seen: Survey, bound: float) -> dict[str, str]:
    """Return what a person should know of the folder, by name."""
    count = len(seen.used)
    facts = {
        "used": f"{count} of {count + len(seen.left_out)} pictures, {seen.channels}, "
        f"of {size_text(seen.sizes)} (height x width)",
        "shows": f"{seen.look.kind}, {seen.look.pose} (the mean picture keeps {seen.look.kept:.0%} of a "
        "picture's variance)",
        "held out": f"{seen.held_out} in two runs of neighbours: {count} good pictures bound the false-alarm "
        f"rate at {bound:.1%}",
    }
    if seen.left_out:
        facts["left out"] = left_out_text(seen.left_out)
    return facts
