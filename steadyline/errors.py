"""Errors, sorted by what a loop must do about them and not by where they came from.

SteadylineError
├── PoisonMessage      dead-letter with the reason, commit, go on
│   ├── MalformedHeaders · UnknownCamera
│   ├── EmptyPicture · PictureTooLarge · PictureTooManyPixels · UnsupportedFormat · UndecodablePicture
│   ├── UnscorableFrame
│   └── MalformedMessage
├── Backpressure       hold, pause, try again at once; no error metric
├── Transient          hold, back off, count; never skip
│   ├── BrokerUnavailable · InferenceUnavailable · BankUnavailable · StoreUnavailable
└── Fatal              exit non-zero
    ├── InvalidConfiguration · ContractBroken · DeadLetterStorm · Fenced · PackageRejected

Anything else that is raised is a bug: ``steadyline.service`` logs it with its stack and exits with 70.
"""

from typing import ClassVar


class SteadylineError(Exception):
    """Base of all our errors; ``reason`` is the one word used as metric label, header and log field."""

    reason: ClassVar[str] = "error"


class PoisonMessage(SteadylineError):
    """The message itself is at fault; it is dead-lettered unchanged, with the reason."""

    reason = "poison"


class MalformedHeaders(PoisonMessage):
    """A header that the contract demands is missing or of the wrong type."""

    reason = "malformed_headers"


class MalformedMessage(PoisonMessage):
    """The JSON value does not fit its contract."""

    reason = "malformed_message"


class UnknownCamera(PoisonMessage):
    """The frame names a camera or a product that the line file does not have."""

    reason = "unknown_camera"


class EmptyPicture(PoisonMessage):
    """The frame has no bytes."""

    reason = "empty_picture"


class PictureTooLarge(PoisonMessage):
    """The encoded picture has more bytes than the limit."""

    reason = "picture_too_large"


class PictureTooManyPixels(PoisonMessage):
    """The picture's header announces more pixels than the limit (for example a decompression bomb)."""

    reason = "picture_too_many_pixels"


class UnsupportedFormat(PoisonMessage):
    """The bytes are neither JPEG nor PNG."""

    reason = "unsupported_format"


class UndecodablePicture(PoisonMessage):
    """The bytes look like a picture and cannot be decoded (truncated or corrupt)."""

    reason = "undecodable_picture"


class UnscorableFrame(PoisonMessage):
    """The model's answer for the frame is not a finite number."""

    reason = "unscorable_frame"


class Backpressure(SteadylineError):
    """There is no room right now: hold the message, pause, and offer it again."""

    reason = "backpressure"


class Transient(SteadylineError):
    """Something outside is away: hold the message, back off, count, and never skip it."""

    reason = "transient"


class BrokerUnavailable(Transient):
    """Kafka does not answer."""

    reason = "broker_unavailable"


class InferenceUnavailable(Transient):
    """Triton does not answer, or answers with an error that is not the message's fault."""

    reason = "inference_unavailable"


class BankUnavailable(Transient):
    """Redis does not answer, or the bank is not there yet."""

    reason = "bank_unavailable"


class StoreUnavailable(Transient):
    """The store cannot be read or written right now (for example because the disk is full)."""

    reason = "store_unavailable"


class Fatal(SteadylineError):
    """Going on would do harm: exit non-zero with a message that says what to do."""

    reason = "fatal"


class InvalidConfiguration(Fatal):
    """The line file, an option or the environment is wrong."""

    reason = "invalid_configuration"


class ContractBroken(Fatal):
    """Another part answers in a way that the contract between it and us forbids."""

    reason = "contract_broken"


class DeadLetterStorm(Fatal):
    """Most messages are poison, so the fault is probably ours: stop before the topic is emptied."""

    reason = "dead_letter_storm"


class Fenced(Fatal):
    """Another live process uses our transactional id."""

    reason = "fenced"


class PackageRejected(Fatal):
    """A model package is incomplete or a file does not match its digest."""

    reason = "package_rejected"
