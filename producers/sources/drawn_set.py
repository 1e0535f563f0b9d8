"""Write what ``synthetic:`` draws as a folder to train on and to test with: pictures free of any licence."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from producers.sources.address import SyntheticOptions
from producers.sources.synthetic import render, truth, truth_mask
from steadyline.errors import InvalidConfiguration


@dataclass(frozen=True, slots=True)
class DrawnCounts:
    """How many pictures to write: ``train_good`` to train on, the others to test with."""

    train_good: int
    test_good: int
    defective: int

    @property
    def pictures(self) -> int:
        """All pictures of the set, without the masks of the defective ones."""
        return self.train_good + self.test_good + self.defective


def write_drawn_set(folder: Path, options: SyntheticOptions, counts: DrawnCounts) -> Iterator[Path]:
    """Write parts with their true masks in MVTec layout, and yield the path of each picture that is there.

    The same options give the same files. Good and defective parts come from different frames of the camera,
    so that none is there twice. Raises InvalidConfiguration when ``folder`` holds something or cannot be
    written.
    """
    try:
        if folder.exists() and any(folder.iterdir()):
            raise InvalidConfiguration(f"--out {folder}: it is not empty; name a new folder")
        for name, picture in _pictures(options, counts):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(path)
            if path.parent.parent.name != "ground_truth":
                yield path
    except OSError as error:
        raise InvalidConfiguration(f"--out {folder}: it cannot be written: {error}") from error


def _pictures(options: SyntheticOptions, counts: DrawnCounts) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Yield each file's name below the folder and its grey picture, (size, size)."""
    good = options.model_copy(update={"defect_rate": 0.0})
    bad = options.model_copy(update={"defect_rate": 1.0})
    first_of_test = counts.train_good + 1
    for sequence in range(1, first_of_test + counts.test_good):
        part = "train" if sequence < first_of_test else "test"
        yield f"{part}/good/{sequence:05d}.png", render(good, sequence)
    first_bad = first_of_test + counts.test_good
    seen: Counter[str] = Counter()
    for sequence in range(first_bad, first_bad + counts.defective):
        defect = truth(bad, sequence)
        assert defect is not None  # each frame of a defect rate of 1 has one
        seen[defect.kind] += 1
        name = f"{defect.kind}/{seen[defect.kind]:05d}"
        yield f"ground_truth/{name}_mask.png", truth_mask(bad, sequence).astype(np.uint8) * np.uint8(255)
        yield f"test/{name}.png", render(bad, sequence)
