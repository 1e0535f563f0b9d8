"""Collect the normal frames of a training: those of the product's folder and of the stream's reservoir."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np

from steadyline.contracts.evidence import is_picture_of
from steadyline.contracts.score import Score
from steadyline.digest import sha256
from steadyline.errors import InvalidConfiguration, PoisonMessage, StoreUnavailable
from steadyline.line import Line, PictureSection, Product
from steadyline.picture import PictureLimits, decode, inspect
from steadyline.picture_folder import find_good_parts, printable
from steadyline.prepare import prepare
from steadyline.store import NotInStore, Store
from steadyline.telemetry.logs import get_logger
from trainer.arrays import Pictures
from trainer.data.mvtec import tell_assumed
from trainer.data.outliers import far_from_all_others
from trainer.data.sightings import Normal
from trainer.data.snapshot import NormalSource, Snapshot, make_snapshot

log = get_logger(__name__)

MOST_UNREADABLE = 16  # stream frames that cannot be read, each of which may cost the store's deadline


def folder_files(folder: Path) -> list[Path]:
    """Return the pictures of good parts of a folder, sorted, and log what of it is used and what is left out.

    Raises InvalidConfiguration when there are none.
    """
    found = find_good_parts(folder)
    log.info("pictures_found", **found.fields())
    if not found.files:
        raise InvalidConfiguration(
            f"the folder of normals {printable(folder)} has no .png or .jpg; a set in MVTec layout has them "
            "in train/good"
        )
    return list(found.files)


def collect(product: Product, reservoir: Sequence[Normal], store: Store) -> Snapshot:
    """Return the snapshot of all readable normals; those that cannot be read, or that the guard does not
    believe, are logged and left out.

    Raises InvalidConfiguration when too few are left, StoreUnavailable when the store cannot be reached.
    """
    frames: list[tuple[NormalSource, Pictures]] = []
    if product.normals:
        folder = Path(product.normals)
        frames = from_folder(folder, product.picture)
        if (note := distortion_note(folder, product.picture)) is not None:
            log.warning("frames_distorted", folder=printable(folder), note=note)
    frames += _from_reservoir(reservoir, store, product.picture)
    return believed(frames) if product.retrain.guard else make_snapshot(frames)


def believed(frames: Sequence[tuple[NormalSource, Pictures]]) -> Snapshot:
    """Return the snapshot without the frames that are too far from all others; it names them.

    Raises InvalidConfiguration when too few are left.
    """
    far = far_from_all_others(np.stack([picture for _, picture in frames])) if frames else {}
    for place, distance in far.items():
        log.warning("normal_not_believed", frame=frames[place][0].id, distance=round(distance, 3))
    kept = [frame for place, frame in enumerate(frames) if place not in far]
    farthest = sorted(far, key=lambda place: -far[place])
    return make_snapshot(kept, tuple(frames[place][0].id for place in farthest))


def from_folder(folder: Path, picture: PictureSection) -> list[tuple[NormalSource, Pictures]]:
    """Return the readable frames of a folder; the id of a frame is its file name."""
    found, assumed = [], Counter[str]()
    for path in folder_files(folder):
        pixels = prepared(path.read_bytes(), picture, printable(path), assumed)
        if pixels is not None:
            found.append((NormalSource(id=printable(Path(path.name)), uri=path.absolute().as_uri()), pixels))
    tell_assumed(assumed, folder)
    return found


def read_file(uri: str) -> bytes:
    """Return the bytes of a normal of a folder, by the address that its source has; raises OSError."""
    return Path(url2pathname(urlsplit(uri).path)).read_bytes()


def distortion_note(folder: Path, picture: PictureSection) -> str | None:
    """Return what a person should read when the product's grid distorts the frames of a folder, from the
    headers alone; None when it does not. What cannot be read does not count.
    """
    limits, shapes = PictureLimits(picture.max_bytes, picture.max_pixels), set()
    for path in folder_files(folder):
        try:
            shapes.add(inspect(path.read_bytes(), limits).shape)
        except PoisonMessage:
            continue
    return picture.grid.note(shapes)


def is_own_picture(store: Store, line: Line, score: Score) -> bool:
    """Tell whether the picture of a score is, to the letter, the evidence of its own frame in our store."""
    try:
        key = store.key(score.picture_uri or "")
    except NotInStore:
        return False
    return is_picture_of(score, key, line.line, line.kafka_topics())


def _from_reservoir(
    reservoir: Sequence[Normal], store: Store, picture: PictureSection
) -> list[tuple[NormalSource, Pictures]]:
    """Return the frames that can be read; each of the others costs itself and no other one."""
    found, unreadable, told_by_the_scorer = [], 0, Counter[str]()
    for normal in reservoir:
        try:
            data = store.get(normal.picture_uri, picture.max_bytes)
        except NotInStore:
            log.info("normal_no_longer_kept", frame=normal.frame)
            continue
        except StoreUnavailable as error:
            store.exists("evidence")  # raises when it is the store that is away and not this one object
            unreadable += 1
            log.warning("normal_unreadable", frame=normal.frame, reason=error.reason, error=str(error))
            if unreadable == MOST_UNREADABLE:
                log.error("normals_unreadable", why=f"{unreadable} cannot be read: the rest is not tried")
                break
            continue
        if sha256(data) != normal.picture_sha256:
            log.warning("normal_was_changed", frame=normal.frame, picture=normal.picture_uri)
            continue
        pixels = prepared(data, picture, normal.frame, told_by_the_scorer)
        if pixels is not None:
            source = NormalSource(
                id=normal.frame,
                camera=normal.camera,
                uri=normal.picture_uri,
                captured_at=normal.captured_at,
                model_version=normal.model_version,
            )
            found.append((source, pixels))
    return found


def prepared(data: bytes, picture: PictureSection, name: str, assumed: Counter[str]) -> Pictures | None:
    """Return an encoded picture as a model takes it, (H, W, C); None, which is logged, when it is unreadable.

    What its format did not say and was taken for granted is counted in ``assumed``.
    """
    try:
        info = inspect(data, PictureLimits(picture.max_bytes, picture.max_pixels))
        found = prepare(decode(data, info, picture.channels), picture.grid, picture.channels)
    except PoisonMessage as error:
        log.warning("normal_unreadable", frame=name, reason=error.reason, error=str(error))
        return None
    assumed.update(info.assumed)
    return found
