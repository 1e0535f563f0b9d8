"""BGAD fits a normalizing flow to frozen features of normals and pushes known defects behind a boundary."""
