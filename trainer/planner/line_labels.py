"""Take a plan's known defects from what people have labelled on a running line, by its store alone."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from steadyline.contracts.kept_labels import KeptLabel
from steadyline.digest import sha256
from steadyline.errors import InvalidConfiguration, PoisonMessage
from steadyline.kafka.model_events import EventSeal
from steadyline.line import Line
from steadyline.picture_folder import printable
from steadyline.replace_file import replace_file
from steadyline.signing import TrustedKeys
from steadyline.store import Store
from steadyline.telemetry.logs import get_logger
from trainer.data.label_shelf import LabelShelf
from trainer.data.mvtec import decode_native
from trainer.data.normals import folder_files

log = get_logger(__name__)

MOST_TAKEN = 50  # the newest; every candidate is asked about each of them
FOLDER = "labelled"  # of a plan: the pictures as the cameras took them, under their digests


@dataclass(frozen=True, slots=True)
class LabelsOf:
    """Whose labels are wanted: those of a product of a line, as far as ``trusted`` believes them."""

    line: Line
    product: str
    trusted: TrustedKeys


def labelled_defects(wanted: LabelsOf, data: Path, out: Path) -> tuple[Path, ...]:
    """Write the pictures of the newest labelled defects into ``out`` and return their paths.

    Raises InvalidConfiguration when there is none that can be used, when the list cannot be believed, or when
    one of them lies among the good parts in ``data``; StoreUnavailable when the store does not answer.
    """
    shelf = _shelf(wanted)
    rows = _believed(shelf)
    defects = [row for row in rows if row.label == "defect"]
    kept = [row for row in defects if row.picture is not None][-MOST_TAKEN:]
    found: dict[str, bytes] = {}
    for row in kept:
        picture = _readable(shelf, row)
        if picture is not None:
            found[row.picture_sha256 or ""] = picture
    if not found:
        raise InvalidConfiguration(_nothing(wanted, rows))
    _refuse_normals(found, data)
    log.info("labelled_defects_taken", product=wanted.product, labelled=len(defects), taken=len(found))
    return tuple(_written(picture, digest, out / FOLDER) for digest, picture in found.items())


def _shelf(wanted: LabelsOf) -> LabelShelf:
    line, product = wanted.line, wanted.line.products.get(wanted.product)
    if product is None:
        raise InvalidConfiguration(
            f"--labels: the line {line.line} has no product {wanted.product!r}; --product names one of "
            f"{', '.join(sorted(line.products))}"
        )
    store = Store(line.store, may_be_clear=line.store_in_clear)
    return LabelShelf(store, EventSeal(line.line, wanted.trusted), wanted.product, product.picture.max_bytes)


def _believed(shelf: LabelShelf) -> list[KeptLabel]:
    try:
        return shelf.believed()
    except PoisonMessage as error:
        raise InvalidConfiguration(
            f"--labels: the list of labels of {shelf.product} in the line's store cannot be believed: {error}"
        ) from error


def _readable(shelf: LabelShelf, row: KeptLabel) -> bytes | None:
    picture = shelf.picture(row)
    try:
        if picture is not None:
            decode_native(picture, "gray", row.frame)
            return picture
    except InvalidConfiguration as error:
        log.warning("labelled_frame_unreadable", frame=row.frame, picture=row.picture, error=str(error))
        return None
    log.warning("labelled_frame_unreadable", frame=row.frame, picture=row.picture)
    return None


def _nothing(wanted: LabelsOf, rows: list[KeptLabel]) -> str:
    """Return in plain words why no label can be used."""
    counts = Counter(row.label for row in rows)
    have = f"the store of the line {wanted.line.line} has {counts['defect']} frames of {wanted.product}"
    if not counts["defect"]:
        return (
            f"--labels: {have} labelled as defects, and {counts['good']} as good: label defects through the "
            "API of the alerts, or give pictures of known ones with --defects"
        )
    words = Counter(row.without or "unreadable" for row in rows if row.label == "defect")
    told = ", ".join(f"{count} {word}" for word, count in sorted(words.items()))
    return f"--labels: {have} labelled as defects, and no picture of any can be read ({told})"


def _refuse_normals(found: dict[str, bytes], data: Path) -> None:
    sizes = {len(picture) for picture in found.values()}
    for path in folder_files(data):
        if path.stat().st_size in sizes and sha256(path.read_bytes()) in found:
            raise InvalidConfiguration(
                f"--labels: {printable(path)} is labelled a defect on the line, and lies among the good "
                "parts: remove it there, or take the label back"
            )


def _written(picture: bytes, digest: str, folder: Path) -> Path:
    ending = "png" if picture.startswith(b"\x89PNG") else "jpg"
    path = folder / f"{digest}.{ending}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        replace_file(path, picture)
    except OSError as error:
        raise InvalidConfiguration(f"--out {folder.parent} cannot be used: {error.strerror}") from error
    return path
