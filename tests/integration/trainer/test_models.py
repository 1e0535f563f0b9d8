"""The models of a line as their owners see them: told by command, retrained in time, refused when touched."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from steadyline.contracts.model_event import ModelEvent
from steadyline.contracts.score import Peak, Score
from steadyline.inference import ModelRef
from steadyline.package import FILES, Card
from steadyline.picture import encode_png
from steadyline.probe import probe
from steadyline.service import EXIT_FAILED, EXIT_OK
from tests.support.eventually import eventually
from tests.support.service_process import is_gone
from tests.support.trainer_line import Orders, TrainerLine, stripes
from trainer.data.snapshot import unpack
from trainer.jobs.spec import Jobs

pytestmark = pytest.mark.servers

QUARANTINE = timedelta(hours=1)


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def is_healthy(event: ModelEvent) -> bool:
    return event.health is not None and event.health.state == "seeing"


def path_of(uri: str) -> Path:
    return Path(uri.removeprefix("file://"))


def test_a_trained_version_is_told_by_the_command_line_and_is_what_lies_in_the_store(
    trained: TrainerLine,
) -> None:
    trained.work()
    live = trained.wait_for(is_healthy, "the first round of the watch").live()
    assert live is not None
    listed = trained.models("list", "--json")
    assert listed.returncode == EXIT_OK, listed.stderr
    rows = json.loads(listed.stdout)["products"][trained.product]
    (row,) = [row for row in rows if row["state"] == "live"]
    assert row["version"] == live.version
    assert row["figures"] == live.figures
    assert {"clean_auroc", "pgd_auroc_2/255", "corrupted_auroc", "detection_rate"} <= row["figures"].keys()

    told = trained.models("history", trained.product, "--json")
    assert told.returncode == EXIT_OK, told.stderr
    changes = json.loads(told.stdout)["changes"]
    assert [change["after"] for change in changes if change["version"] == 1][:2] == ["candidate", "live"]
    assert changes[1]["reason"].startswith("first: clean 0.")
    assert json.loads(told.stdout)["health"]["state"] == "seeing"

    folder = path_of(live.package.uri)
    assert live.package.digests == {name: sha256_of(folder / name) for name in FILES}
    card = Card.model_validate_json((folder / "card.json").read_bytes())
    assert (card.calibrations, card.probes, card.figures) == (live.calibrations, live.probes, live.figures)
    assert live.lineage["data"] == sha256_of(path_of(live.lineage["data_uri"]))
    assert (trained.repository / str(live.version) / "model.onnx").read_bytes() == (
        folder / "model.onnx"
    ).read_bytes()
    assert trained.triton.is_ready(ModelRef(trained.product, live.version))
    probe(trained.product, live, trained.triton)


def a_score(sequence: int, captured_at: datetime, picture: str, digest: str, is_normal: bool = True) -> Score:
    """Return the score of frame ``sequence`` of the camera east."""
    return Score(
        frame=f"east/7/{sequence}",
        camera="east",
        product="-",
        captured_at=captured_at,
        scored_at=captured_at,
        model_version=1,
        score=0.5,
        p_value=0.9 if is_normal else 0.001,
        threshold=1.0,
        threshold_version=1,
        verdict="normal" if is_normal else "anomalous",
        peak=Peak(x=0, y=0, value=0.5),
        source_partition=0,
        source_offset=sequence,
        picture_uri=picture,
        picture_sha256=digest,
    )


def a_stream(line: TrainerLine, first: datetime) -> list[Score]:
    """Keep 17 frames of the stream, from the second ``first`` on, and return their scores.

    4 was taken from the store since and 5 changed; 14 and 15 are a defect, and 9 to 13 and 16 are too close
    to it; 27 is new and has to wait.
    """
    scores = []
    for sequence, part in zip([*range(1, 17), 27], stripes(17, seed=5), strict=True):
        data = encode_png(part)
        uri = line.store.put(f"evidence/{line.product}/{sequence}/picture.png", data)
        captured_at = datetime.now(UTC) if sequence == 27 else first + timedelta(milliseconds=100 * sequence)
        is_normal = sequence not in (14, 15)
        scores.append(a_score(sequence, captured_at, uri, hashlib.sha256(data).hexdigest(), is_normal))
    line.store.delete(f"evidence/{line.product}/4")
    line.store.put(f"evidence/{line.product}/5/picture.png", encode_png(stripes(1, seed=6)[0]))
    return [score.model_copy(update={"product": line.product}) for score in scores]


def test_new_normals_retrain_the_line_and_what_vanished_was_touched_or_waits_is_not_among_them(
    trained: TrainerLine,
) -> None:
    event = trained.event()
    assert event is not None
    live = trained.live()
    attempted = max(change.at for change in event.changes if change.before is None)
    trained.publish_scores(a_stream(trained, attempted - QUARANTINE + timedelta(seconds=1)))
    trainer = trained.work(Orders(retrain="{after_normals: 8, quarantine: 1h}"))
    training = trainer.until_training()
    assert trainer.said("training_ordered")[-1]["why"] == "8 new normals"

    jobs = Jobs(trained.store, trained.product)
    spec = jobs.spec()
    assert spec is not None
    sources = unpack(trained.store.get(spec.snapshot_uri)).sources
    stream = {source.id: source for source in sources if source.camera}
    assert set(stream) == {f"east/7/{sequence}" for sequence in (1, 2, 3, 6, 7, 8)}
    assert stream["east/7/1"].model_version == 1
    assert len(sources) - len(stream) == 32

    assert trainer.stop() == EXIT_OK
    assert is_gone(training)
    assert jobs.spec() == spec
    again = trained.work(trained.orders)
    again.until_training()
    change = trained.wait_change(spec.version, "live")
    assert change.reason.startswith("passed: clean 0.")
    assert {name.split("_")[0] for name in change.figures} == {"candidate", "certified", "live"}
    assert trained.live().lineage["why"] == "8 new normals"
    assert trained.live().lineage["data"] == spec.snapshot_digest
    eventually(lambda: jobs.spec() is None, 30, "the order is closed")
    assert trained.triton.is_ready(ModelRef(trained.product, live.version)), "not loaded any more"
    assert not again.said("training_ordered"), "twice, for the same normals"


def test_a_version_is_rolled_back_and_promoted_by_command_and_a_touched_one_is_refused(
    twice_trained: TrainerLine,
) -> None:
    line, product = twice_trained, twice_trained.product
    after = line.live()
    back = line.models("rollback", product, "--why", "it looks odd", "--wait")
    assert back.returncode == EXIT_OK, back.stdout + back.stderr
    before = line.live()
    assert before.version != after.version
    assert f"version {before.version}: retired → live: rolled back by" in back.stdout
    probe(product, before, line.triton)
    forth = line.models("promote", product, str(after.version), "--wait")
    assert forth.returncode == EXIT_OK, forth.stdout + forth.stderr
    assert line.live().version == after.version

    model = path_of(before.package.uri) / "model.onnx"
    intact = model.read_bytes()
    model.write_bytes(intact[:-1] + bytes([intact[-1] ^ 1]))
    refused = line.models("promote", product, str(before.version), "--wait")
    model.write_bytes(intact)
    assert refused.returncode == EXIT_FAILED
    assert "refused: promote by" in refused.stdout
    assert "model.onnx does not match its digest" in refused.stdout
    assert line.live().version == after.version
    probe(product, line.live(), line.triton)
    unknown = line.models("promote", product, "99", "--wait")
    assert unknown.returncode == EXIT_FAILED
    assert "version 99 is not known" in unknown.stdout
