"""Errors, sorted by what a loop must do about them and not by where they came from.

SteadylineError
├── PoisonMessage      dead-letter with the reason, commit, go on
│   ├── MalformedHeaders · ForeignLine · UnknownCamera
│   ├── EmptyPicture · PictureTooLarge · PictureTooManyPixels · PictureTooLong · PictureTooCostly
│   ├── UnsupportedFormat · UndecodablePicture
│   ├── UnscorableFrame · OutputTooLarge · EndedProcesses
│   ├── MalformedMessage
│   └── UnsignedMessage · WrongSignature · OutdatedMessage
├── Backpressure       hold, pause, try again at once; no error metric
├── Transient          hold, back off, count; never skip
│   ├── BrokerUnavailable (ClockRefused) · InferenceUnavailable · BankUnavailable · StoreUnavailable
└── Fatal              exit non-zero
    ├── InvalidConfiguration · ContractBroken · Fenced · NotAllowed (LoginRefused)
    └── PackageRejected (UnsignedPackage · WrongPackageSignature)

Anything else that is raised is a bug: ``steadyline.service`` logs it with its stack and exits with 70.
"""

from typing import ClassVar

from typing_extensions import override


class SteadylineError(Exception):
    """Base of all our errors; ``reason`` is the one word used as metric label, header and log field.

    Each argument is one line of the message: a line feed within one of them is somebody else's, and on a
    terminal it begins no line.
    """

    reason: ClassVar[str] = "error"

    def __init__(self, *lines: str) -> None:
        super().__init__(*lines)
        self.lines = lines

    @override
    def __str__(self) -> str:
        return "\n".join(self.lines)


class PoisonMessage(SteadylineError):
    """The message itself is at fault; it is dead-lettered unchanged, with the reason."""

    reason = "poison"


class MalformedHeaders(PoisonMessage):
    """A header is missing, there twice, of the wrong type, at odds with the key or another, or too large."""

    reason = "malformed_headers"


class MalformedMessage(PoisonMessage):
    """The JSON value does not fit its contract."""

    reason = "malformed_message"


class ForeignLine(PoisonMessage):
    """The message is whole and of another line: two lines share a prefix of topics, or a stranger writes."""

    reason = "foreign_line"


class UnsignedMessage(PoisonMessage):
    """The message has no signature, and a trusted key is set."""

    reason = "unsigned"


class WrongSignature(PoisonMessage):
    """The signature is none of a trusted key for these very bytes."""

    reason = "wrong_signature"


class OutdatedMessage(PoisonMessage):
    """A newer message of the same key is known: this one was written by a trainer without its lease, or was
    written before and is on the topic again.
    """

    reason = "outdated"


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


class PictureTooLong(PoisonMessage):
    """A side of the picture is longer than the limit, or out of all proportion to the other."""

    reason = "picture_too_long"


class PictureTooCostly(PoisonMessage):
    """The picture is built so that decoding it takes far longer than its pixels explain."""

    reason = "picture_too_costly"


class UnsupportedFormat(PoisonMessage):
    """The bytes are neither JPEG nor PNG."""

    reason = "unsupported_format"


class UndecodablePicture(PoisonMessage):
    """The bytes look like a picture and cannot be decoded (truncated or corrupt)."""

    reason = "undecodable_picture"


class UnscorableFrame(PoisonMessage):
    """The model's answer for the frame is not a finite number, or it refuses this frame alone, always."""

    reason = "unscorable_frame"


class OutputTooLarge(PoisonMessage):
    """What was made of the message is larger than any topic of ours takes."""

    reason = "output_too_large"


class EndedProcesses(PoisonMessage):
    """The message alone was in hand when one process after the other ended without a word."""

    reason = "ended_processes"


class Backpressure(SteadylineError):
    """There is no room right now: hold the message, pause, and offer it again."""

    reason = "backpressure"


class Transient(SteadylineError):
    """Something outside is away: hold the message, back off, count, and never skip it."""

    reason = "transient"


class BrokerUnavailable(Transient):
    """Kafka does not answer."""

    reason = "broker_unavailable"


class ClockRefused(BrokerUnavailable):
    """Kafka refuses the time that this machine gives its messages: the clock is wrong, here or there."""

    reason = "clock_refused"


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


class Fenced(Fatal):
    """Another live process uses our transactional id."""

    reason = "fenced"


class NotAllowed(Fatal):
    """Kafka refuses what this process asks: a right was taken, or never given."""

    reason = "not_allowed"


class LoginRefused(NotAllowed):
    """Kafka, or the issuer of its tokens, does not let this process in: its user, certificate or token."""

    reason = "login_refused"


class PackageRejected(Fatal):
    """A model package is incomplete or a file does not match its digest."""

    reason = "package_rejected"


class UnsignedPackage(PackageRejected):
    """Nobody has signed a model package, and a trusted key is set."""

    reason = "unsigned_package"


class WrongPackageSignature(PackageRejected):
    """No trusted key has signed a model package, or what stands under its name is not its signature."""

    reason = "wrong_package_signature"
