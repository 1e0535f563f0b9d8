"""Which image ships which extras of the distribution; the locks and the inventory of licences follow it."""

from collections.abc import Mapping

# image → extras. All but the producers read or write the store, which may be one of S3; each reaches Kafka,
# whose users may be roles of AWS.
IMAGES: Mapping[str, tuple[str, ...]] = {
    "producers": ("producers", "msk"),
    "scorer": ("scorer", "s3", "msk"),
    "trainer": ("trainer", "s3", "msk"),
    "alerts": ("alerts", "s3", "msk"),
    "steadyline": ("s3", "msk"),
}

# image → wheels whose own native libraries it replaces: decision 24 says why those of PyAV are.
REPLACED: Mapping[str, tuple[str, ...]] = {"producers": ("av",)}


def lock_of(image: str) -> str:
    """Return the path of an image's lock, from the root."""
    return f"requirements/image-{image}.lock"
