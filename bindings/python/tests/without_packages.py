"""What works in an environment with the wheel and nothing else; ONNX Runtime is that of ORT_DYLIB_PATH."""

import sys
import tempfile
from pathlib import Path

import longattn

scorer = longattn.Scorer("tests/data/tiny/query-key", window=60)
text = "It was a bright cold day in April, and the river ran high. " * 5
scores = scorer.score_many([window.text for window in scorer.windows(text)])
assert all(0 < score.dependency_strength < 1 for score in scores), scores
with tempfile.TemporaryDirectory() as folder:
    Path(folder, "a.txt").write_text(text)
    result = longattn.run(scorer, Path(folder, "a.txt"), Path(folder, "result"), count=3)
    assert result.summary.windows_selected == 3, result.summary
assert "numpy" not in sys.modules
