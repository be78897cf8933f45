"""Pictures with matplotlib."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def plot_windows(scores: Iterable[Mapping[str, Any]], selected: Iterable[Mapping[str, Any]], axes: Any) -> Any:
    """Draws every window by its DS and DU, the selected ones filled."""
    if axes is None:
        try:
            from matplotlib import pyplot
        except ImportError as cause:
            raise ImportError("a result is drawn with matplotlib: pip install matplotlib") from cause
        axes = pyplot.subplots(layout="constrained")[1]
    chosen = {(window["category"], window["id"]) for window in selected}
    by_category: dict[str, list[tuple[float, float, bool]]] = {}
    for window in scores:
        made_cut = (window["category"], window["id"]) in chosen
        point = (window["dependency_strength"], window["distribution_uniformity"], made_cut)
        by_category.setdefault(window["category"], []).append(point)
    for index, (category, points) in enumerate(sorted(by_category.items())):
        color = f"C{index % 10}"
        for made_cut in (False, True):
            drawn = [point for point in points if point[2] == made_cut]
            label = f"{category}, selected" if made_cut else None
            face = color if made_cut else "none"
            axes.scatter(
                [x for x, _, _ in drawn], [y for _, y, _ in drawn], s=18, edgecolors=color, facecolors=face, label=label
            )
    axes.set_xlabel("dependency strength DS")
    axes.set_ylabel("distribution uniformity DU")
    axes.legend()
    return axes
