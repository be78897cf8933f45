"""Writes the files of the package that are made from others: generate.py HEADER LIBRARY [--check]

src/longattn/_abi.py     what include/longattn.h declares, for ctypes
src/longattn/_settings.py   the one table of settings, as keywords with types

With --check nothing is written, and stale files are an error.
"""

import ctypes
import importlib.util
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from pycparser import c_ast, c_parser

PACKAGE = Path(__file__).parent / "src" / "longattn"
WIDTH = 127

SCALARS = {
    "bool": "c_bool", "char": "c_char", "int": "c_int", "int32_t": "c_int32", "uint32_t": "c_uint32", "uint64_t": "c_uint64",
    "size_t": "c_size_t", "float": "c_float", "double": "c_double", "longattn_status": "c_int32",
}  # fmt: skip
PYTHON_TYPES = {"c_bool": "bool", "c_float": "float", "c_double": "float"}

ABI = '''"""What include/longattn.h declares, for ctypes: made by generate.py.

Pointers are numbers, but for texts that go in: those are bytes.
"""

# fmt: off
# ruff: noqa
from __future__ import annotations

from ctypes import (
    CFUNCTYPE, Structure, c_bool, c_char_p, c_double, c_int, c_int32, c_size_t, c_uint32, c_uint64, c_void_p,
)
from typing import Any

'''

SETTINGS = '''"""The settings, from the one table of the library: made by generate.py."""

# fmt: off
# ruff: noqa
from __future__ import annotations

from os import PathLike
from typing import Literal, TypedDict, Union


class Settings(TypedDict, total=False):
    """Keywords of everything that takes settings. A value may also be the text that the command line takes."""

'''


class Setting(NamedTuple):
    key: str
    placeholder: str
    valid: str
    default: str
    help: str

    @property
    def type(self) -> str:
        """The type of the keyword's value, after the words that say what is valid."""
        choices = re.split(r", or |, ", self.valid)
        if self.valid == "true, false":
            return "bool"
        if "whole number" in self.valid:
            return "Union[int, str]"
        if "number of bytes" in self.valid:
            return "Union[int, str]"
        if "number" in self.valid:
            return "Union[float, str]"
        if "path" in self.valid:
            return "Union[str, PathLike[str]]"
        if all(re.fullmatch(r"[a-z0-9-]+", choice) for choice in choices):
            return f"Literal[{', '.join(repr(choice) for choice in choices)}]"
        return "str"


def declarations(header: Path) -> Iterator[Any]:
    source = subprocess.run(
        ["cc", "-E", "-P", "-D__attribute__(x)=", header], check=True, capture_output=True, text=True
    ).stdout
    # What the system's headers say is not the library's; the types that it uses from there are known by their names.
    source = source[source.index("enum longattn_status") :]
    known = "".join(f"typedef int {name};\n" for name in ("bool", "int32_t", "uint32_t", "uint64_t", "size_t"))
    yield from c_parser.CParser().parse(known + source.replace("_Bool", "bool")).ext


def constants(header: Path) -> Iterator[tuple[str, int]]:
    for name, value in re.findall(r"#define (LONGATTN_[A-Z_]+) (\d+)", header.read_text()):
        yield name, int(value)


class Abi:
    """The declarations of the header, one Python name each."""

    def __init__(self, header: Path) -> None:
        self.constants = list(constants(header))
        self.statuses: list[tuple[str, int]] = []
        self.structs: dict[str, list[tuple[str, str]]] = {}
        self.callbacks: dict[str, list[str]] = {}
        self.functions: dict[str, tuple[str, list[str]]] = {}
        for declaration in declarations(header):
            self._take(declaration)

    def _take(self, declaration: Any) -> None:
        name, kind = declaration.name, declaration.type
        if isinstance(kind, c_ast.Enum):
            self.statuses = [(item.name, int(item.value.value)) for item in kind.values.enumerators]
        elif isinstance(kind, c_ast.FuncDecl):
            self.functions[name] = (self._name(kind.type, "return"), self._parameters(kind))
        elif isinstance(kind, c_ast.PtrDecl) and isinstance(kind.type, c_ast.FuncDecl):
            self.callbacks[name] = self._parameters(kind.type)
        elif isinstance(kind, c_ast.TypeDecl) and isinstance(kind.type, c_ast.Struct) and kind.type.decls:
            self.structs[name] = [(field.name, self._name(field.type, "field")) for field in kind.type.decls]

    def _parameters(self, function: Any) -> list[str]:
        parameters = function.args.params if function.args else []
        return [name for name in (self._name(parameter.type, "parameter") for parameter in parameters) if name != "None"]

    def _name(self, kind: Any, place: str) -> str:
        """The ctypes type of a declaration."""
        if isinstance(kind, c_ast.ArrayDecl):
            return f"{self._name(kind.type, place)} * {kind.dim.value}"
        if isinstance(kind, c_ast.PtrDecl):
            pointed = kind.type
            is_text = isinstance(pointed, c_ast.TypeDecl) and getattr(pointed.type, "names", None) == ["char"]
            return "c_char_p" if is_text and "const" in pointed.quals and place == "parameter" else "c_void_p"
        name = kind.type.names[0]
        if name == "void":
            return "None"
        return SCALARS.get(name, str(name))

    def text(self) -> str:
        return ABI + "\n".join([*self._values(), *self._callbacks(), *self._structs(), "", *self._functions()]) + "\n"

    def _values(self) -> Iterator[str]:
        for name, value in [*self.constants, *self.statuses]:
            yield f"{name} = {value}"

    def _callbacks(self) -> Iterator[str]:
        yield ""
        for name, parameters in self.callbacks.items():
            # A text that a callback is given ends where its length says, not at a NUL.
            yield f"{name} = CFUNCTYPE({', '.join(['None', *parameters]).replace('c_char_p', 'c_void_p')})"

    def _structs(self) -> Iterator[str]:
        for name, fields in self.structs.items():
            yield from ("", "", f"class {name}(Structure):")
            yield from (f"    {field}: {python_type(kind)}" for field, kind in fields)
            yield "    _fields_ = ["
            yield from (f'        ("{field}", {kind}),' for field, kind in fields)
            yield "    ]"

    def _functions(self) -> Iterator[str]:
        yield ""
        yield "# Each function's result and parameters."
        yield "FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {"
        for name, (result, parameters) in self.functions.items():
            yield f'    "{name}": ({result}, [{", ".join(parameters)}]),'
        yield "}"


def python_type(kind: str) -> str:
    if "*" in kind:
        return "Any"
    if kind == "c_void_p":
        return "int | None"
    return PYTHON_TYPES.get(kind, "int") if kind.startswith("c_") else "Any"


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def table(library: Path) -> Iterator[Setting]:
    loaded = ctypes.CDLL(str(library))
    abi = load(PACKAGE / "_abi.py")
    loaded.longattn_setting_count.restype = ctypes.c_size_t
    loaded.longattn_setting_get.argtypes = abi.FUNCTIONS["longattn_setting_get"][1]
    row = abi.longattn_setting()
    for index in range(loaded.longattn_setting_count()):
        loaded.longattn_setting_get(index, ctypes.byref(row), None)
        yield Setting(*(ctypes.string_at(getattr(row, field)).decode() for field, _ in row._fields_))


def settings_text(settings: Iterable[Setting]) -> str:
    lines = []
    for setting in settings:
        help = f"{setting.help} Valid: {setting.valid}; {setting.default} unless set."
        lines.append(f"    {setting.key}: {setting.type}")
        lines.extend(textwrap.wrap(f'"""{help}"""', WIDTH, initial_indent="    ", subsequent_indent="    "))
    return SETTINGS + "\n".join(lines) + "\n"


def write(path: Path, text: str, check: bool) -> None:
    if path.exists() and path.read_text() == text:
        return
    if check:
        sys.exit(f"{path} is stale: make python-generate")
    path.write_text(text)


def main() -> None:
    header, library, *options = sys.argv[1:]
    check = options == ["--check"]
    write(PACKAGE / "_abi.py", Abi(Path(header)).text(), check)
    write(PACKAGE / "_settings.py", settings_text(table(Path(library))), check)


if __name__ == "__main__":
    main()
