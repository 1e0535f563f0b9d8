"""Collect the normal frames of a training: those of the product's folder and of the stream's reservoir."""

from collections.abc import Sequence
from pathlib import Path

from steadyline.digest import sha256
from steadyline.errors import InvalidConfiguration, PoisonMessage
from steadyline.line import PictureSection, Product
from steadyline.picture import PictureLimits, decode, inspect
from steadyline.prepare import prepare
from steadyline.store import NotInStore, Store
from steadyline.telemetry.logs import get_logger
from trainer.arrays import Pictures
from trainer.data.reservoir import Normal
from trainer.data.snapshot import NormalSource, Snapshot, make_snapshot

log = get_logger(__name__)

ENDINGS = frozenset({".png", ".jpg", ".jpeg"})
_GOOD = Path("train") / "good"


def folder_files(folder: Path) -> list[Path]:
    """Return the pictures of ``train/good`` of a folder in MVTec layout, or of the folder itself, sorted.

    Raises InvalidConfiguration when there are none.
    """
    good = folder / _GOOD if (folder / _GOOD).is_dir() else folder
    if not good.is_dir():
        raise InvalidConfiguration(f"the folder of normals {folder} is not there")
    files = sorted(path for path in good.iterdir() if path.suffix.lower() in ENDINGS and path.is_file())
    if not files:
        raise InvalidConfiguration(
            f"the folder of normals {good} has no .png or .jpg; a set in MVTec layout has them in train/good"
        )
    return files


def collect(product: Product, reservoir: Sequence[Normal], store: Store) -> Snapshot:
    """Return the snapshot of all readable normals; those that cannot be read are logged and left out.

    Raises InvalidConfiguration when too few are left, StoreUnavailable when the store cannot be reached.
    """
    frames = from_folder(Path(product.normals), product.picture) if product.normals else []
    return make_snapshot([*frames, *_from_reservoir(reservoir, store, product.picture)])


def from_folder(folder: Path, picture: PictureSection) -> list[tuple[NormalSource, Pictures]]:
    """Return the readable frames of a folder; the id of a frame is its file name."""
    found = []
    for path in folder_files(folder):
        pixels = _prepared(path.read_bytes(), picture, str(path))
        if pixels is not None:
            found.append((NormalSource(id=path.name, uri=path.absolute().as_uri()), pixels))
    return found


def _from_reservoir(
    reservoir: Sequence[Normal], store: Store, picture: PictureSection
) -> list[tuple[NormalSource, Pictures]]:
    found = []
    for normal in reservoir:
        try:
            data = store.get(normal.picture_uri)
        except NotInStore:
            log.info("normal_no_longer_kept", frame=normal.frame)
            continue
        if sha256(data) != normal.picture_sha256:
            log.warning("normal_was_changed", frame=normal.frame, picture=normal.picture_uri)
            continue
        pixels = _prepared(data, picture, normal.frame)
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


def _prepared(data: bytes, picture: PictureSection, name: str) -> Pictures | None:
    try:
        info = inspect(data, PictureLimits(picture.max_bytes, picture.max_pixels))
        return prepare(decode(data, info, picture.channels), picture.size, picture.channels)
    except PoisonMessage as error:
        log.warning("normal_unreadable", frame=name, reason=error.reason, error=str(error))
        return None
