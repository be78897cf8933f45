"""A progress bar by tqdm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .progress import Progress


class Bar:
    """Shows the stage that a job is at."""

    def __init__(self) -> None:
        try:
            from tqdm.auto import tqdm
        except ImportError as cause:
            raise ImportError("progress=True shows a bar of tqdm: pip install tqdm, or give a function") from cause
        self._make: Any = tqdm
        self._bar: Any = None
        self._stage = ""

    def __call__(self, progress: Progress) -> None:
        if self._bar is None or progress.stage != self._stage:
            self.close()
            self._stage = progress.stage
            scale = progress.unit == "B"
            self._bar = self._make(total=progress.total, desc=progress.stage, unit=progress.unit, unit_scale=scale)
        self._bar.total = progress.total
        self._bar.set_postfix(windows=progress.windows, tokens=progress.tokens, refresh=False)
        self._bar.update(progress.done - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
