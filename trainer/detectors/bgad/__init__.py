"""BGAD: a normal flow on frozen features, with a boundary that known defects are pushed behind."""
