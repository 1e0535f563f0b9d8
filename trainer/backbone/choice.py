"""Which frozen network a detector compares features of: the one that is shipped, or one of the user's own."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import Tensor

from steadyline.errors import InvalidConfiguration, PackageRejected
from steadyline.package import NO_LICENCE
from trainer.backbone.features import FrozenFeatures, LiteFeatures, tensors_digest
from trainer.backbone.lite import Lite0, frozen
from trainer.backbone.timm_features import TimmFeatures
from trainer.backbone.weights import DIGEST, pretrained

SHIPPED = "efficientnet_lite0"
SHIPPED_LICENCE = "Apache-2.0"
_SPDX = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,63}")


@dataclass(frozen=True, slots=True)
class BackboneChoice:
    """``name`` is the shipped network or one of timm's, whose weights lie in ``file`` on this machine.

    The file is one of safetensors. ``licence`` is what the user states of these weights, one SPDX identifier;
    without it the model's licence is unknown.
    """

    name: str = SHIPPED
    file: str = ""
    licence: str = ""


@dataclass(frozen=True, slots=True)
class BackboneIdentity:
    """What a recipe holds of a network: its name, licence, the SHA-256 of its file and of its tensors."""

    name: str
    licence: str
    file_sha256: str
    tensors_sha256: str

    def as_json(self) -> dict[str, str]:
        """Return it as a recipe holds it."""
        return asdict(self)


def chosen_backbone(choice: BackboneChoice) -> tuple[FrozenFeatures, BackboneIdentity]:
    """Return the network, frozen and in eval mode, and its identity.

    Raises InvalidConfiguration, saying what to do, when a choice cannot be carried out.
    """
    if choice.name == SHIPPED:
        if choice.file or choice.licence:
            raise InvalidConfiguration(
                f"{SHIPPED} is shipped with its weights and licence: backbone.file and backbone.licence "
                "belong to another backbone.name"
            )
        network: FrozenFeatures = LiteFeatures(pretrained())
        licence, digest = SHIPPED_LICENCE, DIGEST
    else:
        data = _file(choice)
        network = TimmFeatures(choice.name, _tensors(data, choice.file))
        licence, digest = _licence(choice.licence), hashlib.sha256(data).hexdigest()
    network = frozen(network)
    return network, BackboneIdentity(choice.name, licence, digest, tensors_digest(network))


def empty_backbone(identity: Mapping[str, str]) -> FrozenFeatures:
    """Return the network that a recipe names, to be filled from a package and then checked.

    Raises PackageRejected when it cannot be made here.
    """
    name = identity["name"]
    try:
        return frozen(LiteFeatures(Lite0()) if name == SHIPPED else TimmFeatures(name))
    except InvalidConfiguration as error:
        raise PackageRejected(f"the backbone of the package cannot be made here: {error}") from error


def check_backbone(network: FrozenFeatures, identity: Mapping[str, str]) -> None:
    """Raise PackageRejected unless the tensors of a filled network are those that its recipe pins."""
    found = tensors_digest(network)
    if found != identity["tensors_sha256"]:
        raise PackageRejected(
            f"the backbone {identity['name']} in the package has the digest {found[:16]}…, and its recipe "
            f"pins {identity['tensors_sha256'][:16]}…"
        )


def _file(choice: BackboneChoice) -> bytes:
    if not choice.file:
        raise InvalidConfiguration(
            f"backbone.name={choice.name} needs backbone.file, a file of its weights on this machine; "
            "nothing is downloaded"
        )
    try:
        return Path(choice.file).read_bytes()
    except OSError as error:
        raise InvalidConfiguration(f"backbone.file {choice.file} cannot be read: {error.strerror}") from error


def _tensors(data: bytes, file: str) -> Mapping[str, Tensor]:
    """Return the tensors of a file of safetensors by name; no code in it is run."""
    try:
        return load_safetensors(data)
    except (SafetensorError, ValueError) as error:
        raise InvalidConfiguration(
            f"backbone.file {file} holds no safetensors: {str(error)[:300]}; weights in another form are "
            "saved anew by safetensors.torch.save_file"
        ) from error


def _licence(stated: str) -> str:
    if not stated:
        return NO_LICENCE
    if not _SPDX.fullmatch(stated):
        raise InvalidConfiguration(
            f"backbone.licence {stated!r} is no SPDX identifier: Apache-2.0 for example, LicenseRef-NAME else"
        )
    return stated
