"""What all gradient trainings share: augmentations, state, checkpoints, flips and mixed precision."""
