"""Puts liblongattn.so into the wheel, and names the platform that it was linked for."""

import os
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LIBRARY = "liblongattn.so"


class CustomBuildHook(BuildHookInterface[Any]):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        native = Path(os.environ["LONGATTN_NATIVE"])
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{os.environ['LONGATTN_PLATFORM']}"
        build_data["force_include"][str(native / LIBRARY)] = f"longattn/{LIBRARY}"
