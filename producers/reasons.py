"""The fixed words: why a frame was dropped, and why a camera is in its state."""

from steadyline.errors import (
    EmptyPicture,
    PictureTooCostly,
    PictureTooLarge,
    PictureTooLong,
    PictureTooManyPixels,
    UndecodablePicture,
    UnsupportedFormat,
)

# word -> what happened
DROPPED = {
    "drop_oldest": "The queue was full and the policy gives up the oldest frame.",
    "drop_newest": "The queue was full and the policy gives up the new frame.",
    "spool_full": "The spool on disk reached its limit.",
    "spool_failed": "The disk refused the frame.",
    "spool_corrupt": "The spooled frame could not be read back.",
    "delivery_failed": "The broker did not take the frame, and a later one went through.",
    "internal_error": "A bug of ours met this frame: see the log.",
    "stopped": "The producer stopped before the broker had the frame.",
    "producer_killed": "The producer was killed before the broker had the frame.",
    EmptyPicture.reason: "No bytes.",
    PictureTooLarge.reason: "More bytes than the product's limit, or than a message holds.",
    PictureTooManyPixels.reason: "More pixels than the product's limit.",
    PictureTooLong.reason: "A side over 65,535 pixels, or over 256 times the other.",
    PictureTooCostly.reason: "More scans, chunks or bytes a pixel than its size explains.",
    UnsupportedFormat.reason: "Neither JPEG nor PNG.",
    UndecodablePicture.reason: "The structure is broken, or the picture ends too early.",
}

# word -> what the camera's state means
STATE = {
    "starting": "down: no frame yet.",
    "capturing": "up.",
    "draining": "down: an earlier epoch whose last frames are still to be published.",
    "identical_pictures": "frozen: successive pictures do not differ.",
    "too_dark": "dark: the mean is near black.",
    "too_bright": "bright: the mean is near white.",
    "lost_sharpness": "blurred: far less sharp than this camera's own history.",
    "below_rate": "slow: fewer than half the frames the source should give.",
    "backpressure": "slow: the policy is block and the broker cannot keep up.",
    "end_of_source": "ended: nothing more to read.",
    "limit": "ended: the source's limit is reached.",
    "stopped": "ended: the producer was told to stop.",
    "producer_killed": "ended: closed by the next run after a kill.",
    "rotated": "ended: so many gaps that a new epoch was begun.",
}

# word -> why a camera is down and tried again
LOST = {
    "folder_missing": "The folder is not there.",
    "no_files": "The folder is empty.",
    "io_error": "Reading failed.",
    "not_found": "The file, device or stream is not there.",
    "refused": "Nothing listens at the address.",
    "unauthorized": "The camera wants other credentials.",
    "timeout": "The camera does not answer in time.",
    "end_of_stream": "The camera ended the stream.",
    "invalid_data": "What the camera sends cannot be decoded.",
    "no_video": "There is no video in it.",
    "too_many_pixels": "The stream announces more pixels than the product's limit.",
    "internal_error": "A bug of ours: see the log; the camera is tried again.",
}
