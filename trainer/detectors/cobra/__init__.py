"""COBRA trains contrastively on opposite pairs and is robust to attacks (ICLR 2025, arXiv 2501.15434)."""
