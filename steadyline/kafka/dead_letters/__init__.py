"""Dead letters: how they are read, chosen and sent through the line again."""
