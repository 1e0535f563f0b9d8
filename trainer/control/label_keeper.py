"""Keeps what people said of a product's frames in the store, with the pictures, while those are there.

The topic says what counts. The store keeps what the topic cannot: the picture, which its evidence loses in
time, and the digest by which the frame's score vouched for it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta

from steadyline.clock import Clock
from steadyline.contracts.kept_labels import KeptLabel
from steadyline.line import PictureSection
from steadyline.telemetry.logs import get_logger
from trainer import metrics
from trainer.control.inbox import ProductInbox
from trainer.data.label_shelf import LabelShelf
from trainer.data.labelled_frames import LabelledFrames, LabelledSource
from trainer.data.normals import prepared
from trainer.data.sightings import LabelledFrame, Normal

log = get_logger(__name__)

MOST_KEPT = 1_000  # known defects, and as many judged normals, and as many labels without a picture
MOST_USED = 200  # known defects, and as many judged normals, in one training
COPIES_PER_TURN = 16  # each may cost the store's deadline
LOOK_AGAIN = timedelta(seconds=60)  # for the scores of frames that were labelled before they were read


class LabelKeeper:
    """The labels of one product, brought up to date turn by turn; whoever holds its lease calls it."""

    def __init__(self, shelf: LabelShelf, clock: Clock, most: int = MOST_KEPT) -> None:
        self._shelf, self._clock, self._most = shelf, clock, most
        self._too_many = 0
        self._kept: dict[str, KeptLabel] | None = None
        self._revision, self._look_at = -1, float("-inf")

    def forget(self) -> None:
        """Read the store anew in the next turn: another trainer may have written meanwhile."""
        self._kept, self._revision = None, -1

    def turn(self, inbox: ProductInbox, most_copies: int | None = COPIES_PER_TURN) -> None:
        """Do some of what is due; raises StoreUnavailable."""
        if not inbox.has_read_history:
            return
        now = self._clock.monotonic()
        if self._kept is not None and inbox.labels_revision == self._revision and now < self._look_at:
            return
        if self._kept is None:
            self._kept = {row.frame: row for row in self._shelf.read()}
        revision = inbox.labels_revision
        is_done = self._bring_up_to_date(inbox.labelled(), self._kept, most_copies)
        if is_done:
            self._revision, self._look_at = revision, now + LOOK_AGAIN.total_seconds()
        self._report()

    def frames(self, inbox: ProductInbox, picture: PictureSection) -> LabelledFrames | None:
        """Return the newest known defects and judged normals that can be read, as a model takes them."""
        self._look_at = float("-inf")
        self.turn(inbox, None)
        said = {str(one.label.frame): one.label.label for one in inbox.labelled()}
        rows = [
            row for row in (self._kept or {}).values() if said.get(row.frame) == row.label and row.picture
        ]
        found = []
        for label in ("defect", "good"):
            for row in [row for row in rows if row.label == label][-MOST_USED:]:
                data = self._shelf.picture(row)
                pixels = None if data is None else prepared(data, picture, row.frame, Counter())
                if pixels is None:
                    log.warning("labelled_frame_unreadable", frame=row.frame, picture=row.picture)
                    continue
                source = LabelledSource(
                    frame=row.frame, camera=row.camera, label=row.label, region=row.region
                )
                found.append((source, pixels))
        return LabelledFrames.of(found)

    def _bring_up_to_date(
        self, labelled: Sequence[LabelledFrame], kept: Mapping[str, KeptLabel], most_copies: int | None
    ) -> bool:
        """Keep what was said; return False when some copies are left for the next turn."""
        said = {str(one.label.frame) for one in labelled}
        unsaid = [row for frame, row in kept.items() if frame not in said]
        chosen = _newest(labelled, kept, self._most)
        standing = sum(one.label.label != "withdrawn" for one in labelled)
        self._too_many = standing - len(chosen)
        rows, copies = unsaid[-self._most :], 0
        for one in chosen:
            row = _row(one, kept.get(str(one.label.frame)))
            if one.seen is not None and _lacks(row, one.seen):
                copies += 1
                if most_copies is None or copies <= most_copies:
                    row = self._with_picture(row, one)
            rows.append(row)
        self._keep(rows)
        return most_copies is None or copies <= most_copies

    def _with_picture(self, row: KeptLabel, one: LabelledFrame) -> KeptLabel:
        assert one.seen is not None
        key, without = self._shelf.copy(one.seen)
        if without is not None:
            log.warning("label_without_picture", frame=row.frame, why=without, picture=one.seen.picture_uri)
        return row.model_copy(
            update={
                "picture": key,
                "picture_sha256": one.seen.picture_sha256,
                "captured_at": one.seen.captured_at,
                "model_version": one.seen.model_version,
                "without": without,
            }
        )

    def _keep(self, rows: list[KeptLabel]) -> None:
        """Write the list, and only then remove the pictures that it no longer names."""
        before = list((self._kept or {}).values())
        if rows == before:
            return
        self._shelf.write(rows)
        self._kept = {row.frame: row for row in rows}
        named = {row.picture for row in rows}
        for picture in {row.picture for row in before if row.picture} - named:
            if picture is not None:
                self._shelf.forget(picture)

    def _report(self) -> None:
        rows = list((self._kept or {}).values())
        found = Counter((row.label, row.without or "kept") for row in rows)
        metrics.LABELS_TOO_MANY.set(self._too_many, product=self._shelf.product)
        for label in ("good", "defect"):
            for picture in ("kept", "unknown", "gone", "changed", "unreadable"):
                metrics.LABELS.set(
                    found[label, picture], product=self._shelf.product, label=label, picture=picture
                )


def _row(one: LabelledFrame, known: KeptLabel | None) -> KeptLabel:
    """Return what is kept of a label, with the picture that was kept of its frame before."""
    label = one.label
    assert label.label != "withdrawn"
    fresh = KeptLabel(
        frame=str(label.frame),
        camera=label.frame.camera,
        label=label.label,
        who=label.who,
        at=label.said_at,
        region=label.region,
        note=label.note,
        without="unknown",
    )
    if known is None:
        return fresh
    carried = {"picture", "picture_sha256", "captured_at", "model_version", "without"}
    return fresh.model_copy(update=known.model_dump(include=carried))


def _lacks(row: KeptLabel, seen: Normal) -> bool:
    """Tell whether the picture is to be copied: it was not, or the list names another than the score."""
    return row.without == "unknown" or row.picture_sha256 != seen.picture_sha256


def _newest(
    labelled: Sequence[LabelledFrame], kept: Mapping[str, KeptLabel], most: int
) -> list[LabelledFrame]:
    """Return the newest known defects and judged normals with a picture, and labels without one, in order."""
    groups, chosen = Counter[str](), []
    for one in reversed(labelled):
        if one.label.label == "withdrawn":
            continue
        row = kept.get(str(one.label.frame))
        has_picture = one.seen is not None if row is None or row.without == "unknown" else bool(row.picture)
        group = one.label.label if has_picture else "without"
        groups[group] += 1
        if groups[group] <= most:
            chosen.append(one)
    return chosen[::-1]
