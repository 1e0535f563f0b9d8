"""Training on crops of large pictures: their bank, their batches, hard places, and the units of the place."""
