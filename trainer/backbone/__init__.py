"""A frozen network pretrained on ImageNet, shared by teachers, flows and memories of patches."""
