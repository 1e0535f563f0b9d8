"""A pair gives the score of one detector and the map of another, in one graph."""
