"""The models of a line as their owners see them: told by command, retrained in time, refused when touched."""

import hashlib
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from steadyline.contracts.evidence import EvidenceKey
from steadyline.contracts.model_event import ModelEvent
from steadyline.contracts.score import Peak, Score
from steadyline.inference import ModelRef
from steadyline.package import FILES, PROVENANCE, Card
from steadyline.picture import encode_png
from steadyline.probe import probe
from steadyline.service import EXIT_FAILED, EXIT_OK
from tests.support.eventually import eventually
from tests.support.service_process import is_gone
from tests.support.trainer_line import Orders, TrainerLine, stripes
from trainer.data.snapshot import unpack
from trainer.jobs.spec import JobSpec

pytestmark = pytest.mark.servers

QUARANTINE = timedelta(seconds=1)


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def is_healthy(event: ModelEvent) -> bool:
    return event.health is not None and event.health.state == "seeing"


def open_order(line: TrainerLine) -> JobSpec | None:
    event = line.event()
    assert event is not None
    return None if event.order is None else JobSpec.model_validate_json(event.order.spec)


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
    assert live.package.digests == {name: sha256_of(folder / name) for name in (*FILES, PROVENANCE)}
    card = Card.model_validate_json((folder / "card.json").read_bytes())
    assert (card.calibrations, card.probes, card.figures) == (live.calibrations, live.probes, live.figures)
    assert live.lineage["data"] == sha256_of(path_of(live.lineage["data_uri"]))
    assert (trained.repository / str(live.version) / "model.onnx").read_bytes() == (
        folder / "model.onnx"
    ).read_bytes()
    assert trained.triton.is_ready(ModelRef(trained.product, live.version))
    probe(trained.product, live, trained.triton)


def a_score(line: TrainerLine, sequence: int, part: np.ndarray, is_normal: bool = True) -> Score:
    """Keep frame ``sequence`` of the camera east as a scorer does, and return its score."""
    topic, data, long_ago = line.topics.frames.name, encode_png(part), datetime(1970, 1, 1, tzinfo=UTC)
    key = EvidenceKey("test", topic, line.broker.topic_ids([topic])[topic], 0, sequence, "picture.png")
    return Score(
        frame=f"east/7/{sequence}",
        camera="east",
        product=line.product,
        captured_at=long_ago,
        scored_at=long_ago,
        model_version=1,
        score=0.5,
        p_value=0.9 if is_normal else 0.001,
        threshold=1.0,
        threshold_version=1,
        verdict="normal" if is_normal else "anomalous",
        peak=Peak(x=0, y=0, value=0.5),
        source_partition=0,
        source_offset=sequence,
        picture_uri=line.store.put(str(key), data),
        picture_sha256=hashlib.sha256(data).hexdigest(),
    )


def a_stream(line: TrainerLine) -> list[Score]:
    """Keep 16 frames of the stream and return their scores.

    4 was taken from the store since and 5 changed; 14 and 15 are a defect, and 9 to 13 and 16 are too close
    to it.
    """
    parts = zip(range(1, 17), stripes(16, seed=5), strict=True)
    scores = [a_score(line, sequence, part, sequence not in (14, 15)) for sequence, part in parts]
    line.store.delete(line.store.key(str(scores[3].picture_uri)))
    line.store.put(line.store.key(str(scores[4].picture_uri)), encode_png(stripes(1, seed=6)[0]))
    forged = {"frame": "east/7/40", "picture_uri": line.store.uri("evidence/../evidence")}
    return [*scores, a_score(line, 40, stripes(1, seed=8)[0]).model_copy(update=forged)]


def test_new_normals_retrain_the_line_and_what_vanished_was_touched_or_waits_is_not_among_them(
    trained: TrainerLine,
) -> None:
    live = trained.live()
    trained.publish_scores(a_stream(trained))
    trainer = trained.work(Orders(retrain="{after_normals: 8, quarantine: 1s}"))
    published = time.monotonic()
    eventually(
        lambda: time.monotonic() > published + QUARANTINE.total_seconds(), 10, "the quarantine is over"
    )
    trained.publish_scores([a_score(trained, 50, stripes(1, seed=9)[0])])  # it has to wait itself
    training = trainer.until_training()
    assert trainer.said("training_ordered")[-1]["why"] == "8 new normals"

    spec = open_order(trained)
    assert spec is not None
    sources = unpack(trained.store.get(spec.snapshot_uri)).sources
    stream = {source.id: source for source in sources if source.camera}
    assert set(stream) == {f"east/7/{sequence}" for sequence in (1, 2, 3, 6, 7, 8)}
    assert stream["east/7/1"].model_version == 1
    assert len(sources) - len(stream) == 32

    assert trainer.stop() == EXIT_OK
    assert is_gone(training)
    assert open_order(trained) == spec
    again = trained.work(trained.orders)
    again.until_training()
    change = trained.wait_change(spec.version, "live")
    assert change.reason.startswith("passed: clean 0.")
    assert {name.split("_")[0] for name in change.figures} == {"candidate", "certified", "live"}
    assert trained.live().lineage["why"] == "8 new normals"
    assert trained.live().lineage["data"] == spec.snapshot_digest
    assert open_order(trained) is None
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
