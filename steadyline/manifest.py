"""The manifest of a model package: what each of its files must hash to, and which keys vouch for that.

``SHA256SUMS`` is the manifest, which ``sha256sum -c`` reads too. ``SHA256SUMS.sig`` has one line for each key
that has signed it: more than one while keys are changed.
"""

import re
from collections.abc import Mapping, Sequence

from steadyline.errors import PackageRejected, UnsignedPackage, WrongPackageSignature, WrongSignature
from steadyline.signing import Signer, TrustedKeys, signed_text

SUMS = "SHA256SUMS"
SUMS_SIGNATURE = "SHA256SUMS.sig"
KIND = "steadyline model package v1"  # what a signature is of
MOST_SUMS_BYTES = 4 << 10  # of either file; whoever writes the store can put one of any size there
MOST_SIGNATURES = 8

_MANIFEST = re.compile(rb"(?:[0-9a-f]{64}  [A-Za-z0-9._-]{1,100}\n)+")
_SIGNATURE = re.compile(r"[0-9a-f]{16}:[A-Za-z0-9+/]{86}==")
_SIGN = (
    "`steadyline models sign` signs the packages that are there, with STEADYLINE_SIGNING_KEY; "
    "look at them first"
)


def manifest_text(digests: Mapping[str, str]) -> bytes:
    """Return the manifest of files by their digests."""
    return "".join(f"{digest}  {name}\n" for name, digest in digests.items()).encode()


def read_manifest(text: bytes, where: str) -> dict[str, str]:
    """Return file name → SHA-256; raises PackageRejected unless the text is a manifest to the letter."""
    if not _MANIFEST.fullmatch(text):
        raise PackageRejected(f"{where}/{SUMS} is no list of digests and names")
    rows = [row.split("  ", 1) for row in text.decode().splitlines()]
    if len({name for _, name in rows}) < len(rows):
        raise PackageRejected(f"{where}/{SUMS} names a file twice")
    return {name: digest for digest, name in rows}


def signed_by(text: bytes, signatures: bytes | None, trusted: TrustedKeys, where: str) -> tuple[str, ...]:
    """Return the names of the keys that signed a manifest, as far as ``trusted`` can tell, newest first.

    Where no key is trusted nothing is checked, and all that are named are returned. Otherwise raises
    UnsignedPackage when there is no signature, WrongPackageSignature when no trusted key has signed, or when
    what stands under a trusted key's name is not its signature.
    """
    lines = _lines(signatures)
    if not trusted.is_set:
        return tuple(line.partition(":")[0] for line in lines or ())
    if signatures is None:
        raise UnsignedPackage(f"{where} is not signed, and STEADYLINE_TRUSTED_KEYS is set: {_SIGN}")
    if lines is None:
        raise WrongPackageSignature(f"{where}/{SUMS_SIGNATURE} holds no signatures: {_SIGN}")
    names = tuple(line.partition(":")[0] for line in lines)
    believed = [line for line, name in zip(lines, names, strict=True) if name in trusted.keys]
    if not believed:
        raise WrongPackageSignature(
            f"{where} is signed by {', '.join(names)}, and STEADYLINE_TRUSTED_KEYS trusts "
            f"{', '.join(trusted.keys)}: {_SIGN}"
        )
    for line in believed:
        try:
            trusted.check(signed_text(KIND, text), line)
        except WrongSignature as error:
            raise WrongPackageSignature(f"{where}: {error}") from error
    return tuple(line.partition(":")[0] for line in believed)


def with_signature(text: bytes, signer: Signer, signatures: bytes | None = None) -> bytes:
    """Return the signatures of a manifest with that of ``signer`` first; the newest of other keys stay."""
    own = signer.sign(signed_text(KIND, text))
    others = [line for line in _lines(signatures) or () if not line.startswith(f"{signer.key_id}:")]
    return "\n".join([own, *others[: MOST_SIGNATURES - 1]]).encode()


def _lines(signatures: bytes | None) -> Sequence[str] | None:
    """Return the signatures, one of each key at most; None when the bytes are anything else."""
    if signatures is None:
        return None
    lines = signatures.decode("utf-8", "replace").split("\n")
    names = {line.partition(":")[0] for line in lines}
    is_well_formed = len(names) == len(lines) <= MOST_SIGNATURES and all(map(_SIGNATURE.fullmatch, lines))
    return lines if is_well_formed else None
