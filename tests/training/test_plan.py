"""A plan of a small folder, from its pictures to the block of a line file."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from steadyline.contracts.kept_labels import KeptLabel, picture_key
from steadyline.digest import sha256
from steadyline.errors import InvalidConfiguration
from steadyline.kafka.model_events import EventSeal
from steadyline.line import Line
from steadyline.picture import encode_png
from steadyline.store import Store
from steadyline.yaml_lines import parse_yaml
from tests.support.labels import SAID
from tests.support.parts import defective_parts, good_parts
from tests.support.trainer_command import trainer
from trainer.data.label_shelf import LabelShelf
from trainer.detectors.registry import DETECTORS
from trainer.planner.measure import ShortTraining
from trainer.planner.page import Plan
from trainer.planner.plan import PlanOrder, chosen_detectors, defect_hint, make_plan

SIDE = 48


def _folder(root: Path) -> Path:
    good = root / "good"
    good.mkdir(parents=True)
    for number, picture in enumerate(good_parts(40, SIDE)):
        (good / f"{number:02}.png").write_bytes(encode_png(picture[..., 0]))
    (good / "99.png").write_bytes((good / "05.png").read_bytes())
    (good / "broken.png").write_bytes(b"\x89PNG no more")
    bad = root / "bad"
    bad.mkdir()
    for number, picture in enumerate(defective_parts(4, SIDE)[0]):
        (bad / f"{number}.png").write_bytes(encode_png(picture[..., 0]))
    return good


def _order(root: Path, defects: Path | None = None, side: int | None = 8) -> PlanOrder:
    return PlanOrder(
        data=root / "good",
        out=root / "out",
        product="plate",
        hint=defect_hint(side, None, None, defects),
        budget_ms=1000,
        minutes=20,
        detectors=("certified",),
        how=ShortTraining(steps=2, seed=0, false_alarm_rate=0.1, device="cpu"),
    )


@dataclass(frozen=True)
class Planned:
    """A folder that was planned with known defects, once for all tests: an export takes the time."""

    root: Path
    plan: Plan


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Planned:
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("planned")
    _folder(root)
    return Planned(root, make_plan(_order(root, root / "bad"), lambda phase, done, of: None))


def test_a_plan_says_what_it_used_and_writes_a_block_that_a_line_takes(planned: Planned) -> None:
    plan = planned.plan
    assert plan.facts["used"].startswith("40 of 42 pictures, gray, of 48 x 48")
    assert "broken.png (cannot be read)" in plan.facts["left out"]
    assert "99.png (shows the same part as 05.png)" in plan.facts["left out"]
    assert "bound the false-alarm rate at 11.1%" in plan.facts["held out"]
    taken = plan.conclusion.taken
    assert taken is not None
    assert taken.judged.evidence == "defects"
    assert taken.judged.auroc > 0.9
    assert taken.proven is not None
    assert taken.proven <= taken.attacked + 1e-6
    written = (planned.root / "out" / "line.yaml").read_text()
    known = {"detectors": frozenset(DETECTORS)}
    line = Line.model_validate(parse_yaml(f"line: plant\n{written}", "line.yaml").data, context=known)
    assert line.products["plate"].picture.grid == taken.candidate.grid
    assert "<img" in plan.page.read_text()


def test_a_plan_goes_on_from_the_candidates_that_are_measured(planned: Planned) -> None:
    again = make_plan(_order(planned.root, planned.root / "bad"), lambda phase, done, of: None)
    assert again.measured == planned.plan.measured
    assert len(list((planned.root / "out" / "candidates").iterdir())) == 1


def test_the_command_ends_with_1_where_nothing_sees_enough_within_the_budget(
    planned: Planned, tmp_path: Path
) -> None:
    """It goes on from what was measured by the same settings, whatever the budget was."""
    shutil.copytree(planned.root / "out" / "candidates", tmp_path / "out" / "candidates")
    options = [
        "--data",
        str(planned.root / "good"),
        "--out",
        str(tmp_path / "out"),
        "--detector",
        "certified",
    ]
    how = ["--steps", "2", "--false-alarm-rate", "0.1", "--defects", str(planned.root / "bad")]
    done = trainer("plan", *options, *how, "--ms", "0.1", "--defect-px", "8")
    assert done.returncode == 1, done.stderr
    assert "Nothing fits 0.1 ms: the cheapest candidate takes" in done.stdout
    assert "│ certified │ 64x64 │" in done.stdout, "a pipe has 80 columns, and the table more"
    assert len(list((tmp_path / "out" / "candidates").iterdir())) == 1


def test_frozen_features_go_first_and_what_the_time_was_spent_before_is_named(tmp_path: Path) -> None:
    _folder(tmp_path)
    order = replace(_order(tmp_path, tmp_path / "bad"), detectors=("certified", "patch"))
    plan = make_plan(order, lambda phase, done, of: None)
    assert [one.candidate.detector for one in plan.measured] == ["patch", "certified"]
    patch = plan.measured[0]
    assert patch.hidden >= patch.attacked
    late = replace(order, out=tmp_path / "late", minutes=0.0)
    told = make_plan(late, lambda phase, done, of: None)
    assert not told.measured
    assert "the time was spent before patch 64x64" in " ".join(told.conclusion.notes)


def test_the_labels_of_a_line_judge_as_a_folder_of_the_same_pictures_does(
    planned: Planned, tmp_path: Path
) -> None:
    shutil.copytree(planned.root / "out" / "candidates", tmp_path / "out" / "candidates")
    (tmp_path / "line.yaml").write_text("line: plant\nstore: file://./store\nproducts: {plate: {}}\n")
    shelf = LabelShelf(Store(f"file://{tmp_path}/store"), EventSeal("plant"), "plate", 1 << 20)
    rows = []
    for number, path in enumerate(sorted((planned.root / "bad").iterdir())):
        digest = sha256(path.read_bytes())
        key = shelf.store.key(
            shelf.store.put(picture_key("plant", "plate", digest, "png"), path.read_bytes())
        )
        said = {"frame": f"c1/7/{number}", "camera": "c1", "label": "defect", "who": "ann", "at": SAID}
        rows.append(KeptLabel.model_validate({**said, "picture": key, "picture_sha256": digest}))
    shelf.write(rows)
    options = ["--data", str(planned.root / "good"), "--out", str(tmp_path / "out"), "--defect-px", "8"]
    how = ["--steps", "2", "--false-alarm-rate", "0.1", "--detector", "certified", "--ms", "1000"]
    labels = ["--labels", str(tmp_path / "line.yaml"), "--product"]
    done = trainer("plan", *options, *how, *labels, "plate")
    assert done.returncode == 0, done.stderr
    assert "plate:" in (tmp_path / "out" / "line.yaml").read_text()
    assert len(list((tmp_path / "out" / "candidates").iterdir())) == 1, "nothing was measured anew"
    refused = trainer("plan", *options, *how, *labels, "gear")
    assert refused.returncode == 2
    assert "--product names one of plate" in refused.stderr


def test_too_few_pictures_contradictions_and_unknown_detectors_are_refused(tmp_path: Path) -> None:
    good = _folder(tmp_path)
    with pytest.raises(InvalidConfiguration, match="keep one"):
        defect_hint(4, good / "00.png", "1,2,3,4", None)
    with pytest.raises(InvalidConfiguration, match="go together"):
        defect_hint(None, good / "00.png", None, None)
    with pytest.raises(InvalidConfiguration, match="x,y,w,h"):
        defect_hint(None, good / "00.png", "1,2,3", None)
    assert defect_hint(None, good / "00.png", "1,2,30,4", None).side == 4
    with pytest.raises(InvalidConfiguration, match="no detector 'nothing'"):
        chosen_detectors(["nothing"])
    assert "patch" in chosen_detectors([])
    for path in sorted(good.iterdir())[20:]:
        path.unlink()
    with pytest.raises(InvalidConfiguration, match="24 are the least"):
        make_plan(_order(tmp_path), lambda phase, done, of: None)
