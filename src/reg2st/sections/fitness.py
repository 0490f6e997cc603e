"""Which sections models can be trained on."""

LEAST_SPOTS = 4
"""Fewer spots say nothing of neighbours, and hardly anything of how genes vary."""


def unfit(spots: int, counted: bool) -> str | None:
    """Why a section is left out of training, as the end of "it has"; None if it is not.

    Args:
        spots: how many it has.
        counted: whether any count is above 0.
    """
    if spots < LEAST_SPOTS:
        return f"{spots} spot{'s' if spots > 1 else ''}"
    return None if counted else "no counts"
