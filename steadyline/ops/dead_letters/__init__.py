"""Dead letters: read, chosen, and sent through again."""
