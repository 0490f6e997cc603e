"""The leakage control: expression transferred from serial sections of a patient, without images.

Sections of one patient are often cut from one block, so a method trained on the sisters of the
test section may do well by remembering them. This control measures how well remembering does.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reg2st.sections.geometry import neighbour_distance

OUTLINE_PITCHES = 1.0
"""Standard deviation, in spot pitches, of the blur that turns spots into the shape of a tissue."""

CARRY_PITCHES = 0.5
"""Standard deviation, in spot pitches, of the weights of registered spots around a test spot."""

COMPONENTS = 10
"""Principal components of the sisters' expression that are kept."""

MOST_SPOTS = 500
"""Most spots that represent a section's shape; larger sections are thinned evenly."""

START_DEGREES = 15
REFINED_STARTS = 5


@dataclass(frozen=True)
class Registration:
    """A rigid motion: flip, rotation, then translation.

    Attributes:
        matrix: float64 ``[2, 2]``, orthogonal.
        shift: float64 ``[2]``.
        overlap: cosine similarity of the two blurred shapes after the motion, 0 to 1.
    """

    matrix: NDArray[np.float64]
    shift: NDArray[np.float64]
    overlap: float

    def __call__(self, xy: ArrayLike) -> NDArray[np.float64]:
        """Positions ``[m, 2]`` moved into the fixed frame."""
        return np.asarray(xy, dtype=np.float64) @ self.matrix.T + self.shift


def register(moving: ArrayLike, fixed: ArrayLike) -> Registration:
    """Register the spots of one tissue to those of another by shape alone.

    Spots are blurred over one pitch, so that shapes and not grids are matched. The overlap of the
    blurred shapes (kernel correlation, Tsin & Kanade 2004) is maximised over rotations, flips and
    translations, starting from angles all around the circle with the centroids matched.
    scikit-image and SciPy register images or paired points only.

    Args:
        moving: positions ``[m, 2]``, in any unit, the same in x and y.
        fixed: positions ``[n, 2]``, same unit.

    Returns:
        The motion from ``moving`` to the frame of ``fixed``.
    """
    from scipy.optimize import minimize
    from scipy.spatial.distance import cdist

    moving, fixed = _thinned(moving), _thinned(fixed)
    pitch = neighbour_distance(fixed)
    centre, target = moving.mean(axis=0), fixed.mean(axis=0)
    moving, fixed = (moving - centre) / pitch, (fixed - target) / pitch

    def overlap(first: NDArray, second: NDArray) -> float:
        return np.exp(-cdist(first, second, "sqeuclidean") / (4 * OUTLINE_PITCHES**2)).sum()

    def loss(motion: NDArray, flip: int) -> float:
        return -overlap(moving @ _orthogonal(motion[0], flip).T + motion[1:], fixed) / largest

    largest = np.sqrt(overlap(moving, moving) * overlap(fixed, fixed))
    starts = [
        (flip, np.array([angle, 0.0, 0.0]))
        for flip in (1, -1)
        for angle in np.deg2rad(np.arange(0, 360, START_DEGREES))
    ]
    starts.sort(key=lambda start: loss(start[1], start[0]))
    simplex = np.vstack([np.zeros(3), np.diag([np.deg2rad(START_DEGREES) / 2, 1.0, 1.0])])
    refined = [
        (
            flip,
            minimize(
                loss,
                start,
                args=(flip,),
                method="Nelder-Mead",
                options={"initial_simplex": start + simplex, "xatol": 1e-3, "fatol": 1e-6},
            ),
        )
        for flip, start in starts[:REFINED_STARTS]
    ]
    flip, best = min(refined, key=lambda candidate: candidate[1].fun)
    matrix = _orthogonal(best.x[0], flip)
    shift = target + pitch * best.x[1:] - matrix @ centre
    return Registration(matrix, shift, float(-best.fun))


def predict_from_sisters(
    test_xy: ArrayLike, sisters: Sequence[tuple[ArrayLike, ArrayLike]]
) -> NDArray[np.float64]:
    """Expression of a section, transferred from other sections of its patient.

    Each sister is registered by shape (:func:`register`). A test spot gets the mean of the
    sisters' spots around it, weighted by a Gaussian of half a pitch and projected onto the first
    principal components of the sisters' expression. Only the positions of the test section are
    used; a section of one spot has no shape and gets the sisters' mean.

    Args:
        test_xy: positions of the test section's spots, ``[n, 2]``, in any unit.
        sisters: for each other section, positions ``[m, 2]`` in the same unit, and expression
            ``[m, G]``.

    Returns:
        float64 ``[n, G]``, in the unit of the expression.

    Raises:
        ValueError: there is no sister, so the control is not available for the section.
    """
    from scipy.spatial.distance import cdist
    from scipy.special import softmax

    if not sisters:
        raise ValueError("no section of the same patient to transfer expression from")
    test_xy = np.asarray(test_xy, dtype=np.float64)
    expression = [np.asarray(values, dtype=np.float64) for _, values in sisters]
    level = np.mean([values.mean(axis=0) for values in expression], axis=0)
    if len(test_xy) < 2:
        return np.tile(level, (len(test_xy), 1))
    centred = np.vstack([values - values.mean(axis=0) for values in expression])
    registered = np.vstack([register(xy, test_xy)(xy) for xy, _ in sisters])
    squared_pitches = cdist(test_xy, registered, "sqeuclidean") / neighbour_distance(test_xy) ** 2
    carried = softmax(-squared_pitches / (2 * CARRY_PITCHES**2), axis=1) @ centred
    components = np.linalg.svd(centred, full_matrices=False)[2][:COMPONENTS]
    return level + carried @ components.T @ components


def _thinned(xy: ArrayLike) -> NDArray[np.float64]:
    xy = np.asarray(xy, dtype=np.float64)
    return xy if len(xy) <= MOST_SPOTS else xy[np.linspace(0, len(xy) - 1, MOST_SPOTS).astype(int)]


def _orthogonal(angle: float, flip: int) -> NDArray[np.float64]:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin * flip], [sin, cos * flip]])
