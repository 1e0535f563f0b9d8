"""What a model event says of stations: what good parts looked like at the training, and how a camera is put
right.
"""

from typing import Annotated, Literal

from pydantic import Field, FiniteFloat, model_validator

from steadyline.contracts.message import AwareDatetime, Digest, Items, Part, Table, Word

CorrectionKind = Literal["shift", "affine", "white_balance", "gradient"]

STATION = "station"  # a change that tells of one begins so, then the camera
STREAM = "stream"  # who, of a station that nobody ordered

MOST_PICTURES = 64  # of one station
LARGEST_GAIN = 4.0  # a darker or flatter picture has lost more than a larger gain could bring back
FIELD_CELLS = 64  # 8 rows of 8

Level = Annotated[FiniteFloat, Field(ge=-1024, le=1024)]  # steps of 8 bits
PictureDigest = Annotated[str, Field(max_length=64, pattern=r"^[0-9a-f]{64}$")]
Who = Annotated[str, Field(max_length=100)]


def station_picture_key(line: str, product: str, digest: str) -> str:
    """Return where a picture for a calibration lies in the store; ``digest`` is its SHA-256, hex."""
    return f"stations/{line}/{product}/{digest}"


class StationReference(Part):
    """What the normals of a training look like, of one camera or of the whole product (key ``*``)."""

    means: Items[Level] = Field(
        min_length=1, max_length=3, description="Mean of each channel, in steps of 8 bits."
    )
    deviations: Items[Level] = Field(
        min_length=1, max_length=3, description="Standard deviation of each channel, likewise."
    )
    field: Items[Level] = Field(
        min_length=FIELD_CELLS,
        max_length=FIELD_CELLS,
        description="Mean of each cell of 8 x 8 of their median picture, row by row, over all channels.",
    )
    is_aligned: bool = Field(
        description="True: mean and deviation are those of the pixelwise median of the normals. False, where "
        "parts have no fixed place: they are the median of what each normal has."
    )


class Followed(Part):
    """How far a camera's threshold has followed its own stream, and by which scores."""

    shift: FiniteFloat = Field(description="So much of threshold_shift is followed, and not ordered.")
    wanted: FiniteFloat = Field(
        description="Where the scores would have it; the bound of a day, or the proof, keeps it from there."
    )
    scores: int = Field(ge=1, description="Scores of the stream that it was derived from, one of each part.")
    first: AwareDatetime = Field(description="When the first of them was written.")
    last: AwareDatetime = Field(description="When the last of them was written.")
    at: AwareDatetime = Field(description="When it moved last; the bound of a day counts from there.")
    figures: Table[Word, float] = Field(
        max_length=32, description="distance_before, distance_after, margin, detection_before, ..."
    )


class Station(Part):
    """How one camera's pictures and threshold are put right, and what that was derived from."""

    kind: CorrectionKind = Field(description="What is put right: the threshold alone, or the picture.")
    gains: Items[Annotated[float, Field(ge=1 / LARGEST_GAIN, le=LARGEST_GAIN)]] = Field(
        min_length=1, max_length=3, description="Factor of the prepared picture, one or one for each channel."
    )
    offsets: Items[Level] = Field(
        min_length=1, max_length=3, description="What is added then, in steps of 8 bits."
    )
    slopes: Items[Annotated[float, Field(ge=-1, le=1)]] = Field(
        default_factory=list,
        max_length=2,
        description="Of the logarithm of a further factor, to the right and down; coordinates run from -1 to "
        "1 over the picture. Absent where the light has no gradient.",
        exclude_if=lambda slopes: not slopes,
    )
    threshold_shift: FiniteFloat = Field(
        0.0, description="What is added to the camera's threshold and to the scores that it is a quantile of."
    )
    pictures: int = Field(
        ge=0, le=MOST_PICTURES, description="Pictures that it was derived from; 0 where it only follows."
    )
    pictures_digest: Digest = Field(description="SHA-256 over the digests of those pictures, hex.")
    at: AwareDatetime = Field(description="When it was derived.")
    who: Who = Field(description="Who ordered it: a person or a machine; stream where it only follows.")
    figures: Table[Word, float] = Field(
        max_length=32, description="distance_before, distance_after, detection_before, detection_after, ..."
    )

    followed: Followed | None = Field(
        None,
        description="How far the threshold has followed the stream; absent where it has not.",
        exclude_if=lambda followed: followed is None,
    )

    @model_validator(mode="after")
    def _comes_from_somewhere(self) -> "Station":
        if self.pictures == 0 and self.followed is None:
            raise ValueError("it was derived from no picture, and follows no stream")
        return self

    @model_validator(mode="after")
    def _has_an_offset_for_each_gain(self) -> "Station":
        if len(self.gains) != len(self.offsets):
            raise ValueError(f"{len(self.gains)} gains and {len(self.offsets)} offsets")
        if len(self.slopes) not in (0, 2):
            raise ValueError(f"{len(self.slopes)} slopes, and not two or none")
        return self
