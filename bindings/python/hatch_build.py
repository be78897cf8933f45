"""Puts liblongattn.so and the command into the wheel, and names the platform that they were linked for."""

import os
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FILES = ("liblongattn.so", "longattn")


class CustomBuildHook(BuildHookInterface[Any]):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        native = Path(os.environ["LONGATTN_NATIVE"])
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{os.environ['LONGATTN_PLATFORM']}"
        for file in FILES:
            build_data["force_include"][str(native / file)] = f"longattn/{file}"
