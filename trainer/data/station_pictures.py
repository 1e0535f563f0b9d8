"""The pictures that a camera's station is calibrated with, as whoever orders it has put them into the
store.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from steadyline.contracts.station import station_picture_key
from steadyline.digest import sha256
from steadyline.errors import PoisonMessage
from steadyline.grid import Grid
from steadyline.line import PictureSection
from steadyline.picture import Channels, PictureLimits, decode, inspect
from steadyline.prepare import prepare
from steadyline.store import NotInStore, Store
from trainer.arrays import Pictures


class StationPictureUnusable(Exception):
    """A picture is gone, is not the one that was ordered, or cannot be decoded; the message says which and
    why.
    """


@dataclass(frozen=True, slots=True)
class StationPictures:
    """Reads the pictures of one product's stations.

    Whoever may write to the store can put anything there: a picture is what its digest says, within the
    limits of the product's pictures, or it is not used.
    """

    store: Store
    line: str
    product: str
    limits: PictureSection

    def read(self, digests: Sequence[str], grid: Grid, channels: Channels) -> Pictures:
        """Return the pictures as a model takes them, (N, H, W, C) uint8.

        Raises StationPictureUnusable, or StoreUnavailable.
        """
        return np.stack([self._read(digest, grid, channels) for digest in digests])

    def _read(self, digest: str, grid: Grid, channels: Channels) -> Pictures:
        key = station_picture_key(self.line, self.product, digest)
        try:
            data = self.store.get(key, self.limits.max_bytes)
        except NotInStore as error:
            raise StationPictureUnusable(f"the picture {digest} is not in the store") from error
        if sha256(data) != digest:
            raise StationPictureUnusable(f"the picture {digest} in the store is another one, or too large")
        try:
            info = inspect(data, PictureLimits(self.limits.max_bytes, self.limits.max_pixels))
            return prepare(decode(data, info, channels), grid, channels)
        except PoisonMessage as error:
            raise StationPictureUnusable(f"the picture {digest}: {error}") from error
