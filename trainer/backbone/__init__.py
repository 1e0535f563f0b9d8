"""A frozen network pretrained on ImageNet, which BGAD and DAF take their features from."""
