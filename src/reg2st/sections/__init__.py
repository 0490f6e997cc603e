"""Sections: reading them, their slides, gene panels and targets."""
