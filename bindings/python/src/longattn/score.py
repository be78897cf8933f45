"""What is said of one window."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, NamedTuple

from . import _abi

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class LayerScore(NamedTuple):
    """What one of several layers that are scored together says of a window."""

    layer: int
    """The layer of the model, 0 for the first."""
    dependency_strength: float
    """DS of this layer alone."""
    distribution_uniformity: float
    """DU of this layer alone."""
    far_square_mass: float
    """Far square mass of this layer alone."""


@dataclass(frozen=True)
class Score:
    """The score of one window."""

    token_count: int
    """Tokens scored, special ones included."""
    min_distance: int
    """Shortest distance that counted as far, in tokens."""
    sink_tokens: int
    """First positions that never counted as far."""
    head_count: int
    """Heads that were scored."""
    dependency_strength: float
    """DS, Eq. 5: the mean share of attention that goes far; from 0 to 1, larger reaches farther."""
    distribution_uniformity: float
    """DU, Eq. 7: minus the variance of far attention, averaged over heads; at most 0, larger is more even."""
    rows: int
    """Rows of attention that are known: `token_count`, or fewer where the setting `rows` asked for an estimate."""
    dependency_strength_error: float
    """Standard error of DS; 0 where all rows are known."""
    distribution_uniformity_error: float
    """Standard error of DU; 0 where all rows are known."""
    untrained_tokens: int
    """Tokens past the positions that the model was trained for, whose attention is a guess."""
    far_square_mass: float
    """The mean over heads of the squares of far weights, summed over a token's and averaged over tokens; from 0 to DS, larger
    is more concentrated."""
    head_proportions: NDArray[np.float64] | None = field(default=None, compare=False, repr=False)
    """`[heads]`: what DS is the mean of, where heads were asked for."""
    head_variances: NDArray[np.float64] | None = field(default=None, compare=False, repr=False)
    """`[heads]`: what DU is minus the mean of, where heads were asked for."""
    distance_profile: NDArray[np.float64] | None = field(default=None, compare=False, repr=False)
    """`[buckets]`: the mean share of a token's attention at the distances 0, 1, 2 to 3, 4 to 7 and so on; with the setting
    `profile`, unless it is an estimate."""
    layers: tuple[LayerScore, ...] | None = field(default=None, compare=False, repr=False)
    """What each layer of the package says, in its order, where layers were asked for."""

    def as_dict(self) -> dict[str, Any]:
        """The numbers by their names, those of heads, distances and layers as lists where they are there."""
        values = {name: getattr(self, name) for name in SCALARS}
        for name in ARRAYS:
            array = getattr(self, name)
            if array is not None:
                values[name] = array.tolist()
        if self.layers is not None:
            values["layers"] = [layer._asdict() for layer in self.layers]
        return values

    def _repr_html_(self) -> str:
        from ._html import table

        return table(("score of a window", ""), [(name, getattr(self, name)) for name in SCALARS])


ARRAYS = ("head_proportions", "head_variances", "distance_profile")
SCALARS = tuple(item.name for item in fields(Score) if item.name not in (*ARRAYS, "layers"))


def score_of(found: _abi.longattn_score, **details: Any) -> Score:
    return Score(*(getattr(found, name) for name in SCALARS), **details)
