"""COBRA: contrastive training on opposite pairs, robust to attacks (ICLR 2025, arXiv 2501.15434)."""
