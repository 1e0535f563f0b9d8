"""How good a model is: clean, corrupted, attacked and certified, and whether the figures can be believed."""
