#!/usr/bin/env python3
"""Writes zfsvol/_ffi.py from include/zfsvol.abi and include/zfsvol.h.

The numbers, the sizes and the signatures come from zfsvol.abi. It has no types of fields, so these come from the header, and are laid out by ctypes
and compared with the offsets and sizes of zfsvol.abi: a field that is read wrongly stops this program.

Run it without arguments to write the file, and with `--check` to compare: it then prints what to do and returns 1 when the file is stale.
"""

from __future__ import annotations

import ctypes
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Optional, Tuple

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parent
# In an sdist what the library is built from is below.
INCLUDE = (PACKAGE / "rust" if (PACKAGE / "rust").is_dir() else PACKAGE.parent.parent) / "include"
TARGET = PACKAGE / "zfsvol" / "_ffi.py"

SCALARS = {
    "bool": "c_bool",
    "int32_t": "c_int32",
    "int64_t": "c_int64",
    "uint8_t": "c_uint8",
    "uint32_t": "c_uint32",
    "uint64_t": "c_uint64",
    "size_t": "c_size_t",
}
"""What C types of one number are in ctypes."""

FLAGS = {"zfsvol_kind", "zfsvol_send_flags", "zfsvol_unmount_flags"}
"""Types whose numbers are added up."""

PREFIXES = {
    "zfsvol_mount_choice": "ZFSVOL_MOUNT_",
    "zfsvol_send_flags": "ZFSVOL_SEND_",
    "zfsvol_unmount_flags": "ZFSVOL_UNMOUNT_",
}
"""Types whose constants do not begin with the name of the type."""


@dataclass
class Abi:
    """What zfsvol.abi says."""

    constants: Dict[str, int] = field(default_factory=dict)
    numbers: List[str] = field(default_factory=list)
    fields: Dict[str, List[Tuple[str, int, int]]] = field(default_factory=dict)
    sizes: Dict[str, int] = field(default_factory=dict)
    functions: Dict[str, Tuple[str, str]] = field(default_factory=dict)


def read_abi(text: str) -> Abi:
    """Reads zfsvol.abi; a line of a kind that is not known is an error, not passed over."""
    abi = Abi()
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        kind, rest = line.split(" ", 1)
        if kind == "constant":
            name, value = rest.split(" ")
            abi.constants[name] = int(value.rstrip("ul"))
        elif kind == "type":
            name, base = rest.split(" ")
            if base != "uint32_t":
                raise SystemExit(f"{name} is no uint32_t")
            abi.numbers.append(name)
        elif kind == "field":
            found = re.fullmatch(r"(\w+)\.(\w+) offset (\d+) size (\d+)", rest)
            if found is None:
                raise SystemExit(f"what is this: {line}")
            abi.fields.setdefault(found[1], []).append((found[2], int(found[3]), int(found[4])))
        elif kind == "struct":
            found = re.fullmatch(r"(\w+) size (\d+)", rest)
            if found is None:
                raise SystemExit(f"what is this: {line}")
            abi.sizes[found[1]] = int(found[2])
        elif kind == "function":
            found = re.fullmatch(r"(\w+) (.+?) ?\((.*)\)", rest)
            if found is None:
                raise SystemExit(f"what is this: {line}")
            abi.functions[found[1]] = (found[2], found[3])
        else:
            raise SystemExit(f"what is this: {line}")
    return abi


def read_structs(header: str) -> Dict[str, List[str]]:
    """The declarations of the fields of each struct, in the order of the header, which is one of use."""
    code = re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)
    structs = {}
    for body, name in re.findall(r"typedef struct \{(.*?)\} (\w+);", code, flags=re.DOTALL):
        structs[name] = [" ".join(part.split()) for part in body.split(";") if part.strip()]
    return structs


def split_arguments(text: str) -> List[str]:
    """Splits at the commas that are not inside of parentheses."""
    parts, depth, last = [], 0, 0
    for index, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append(text[last:index].strip())
            last = index + 1
    parts.append(text[last:].strip())
    return [part for part in parts if part and part != "void"]


class Types:
    """Turns C types into ctypes."""

    def __init__(self, abi: Abi) -> None:
        self.abi = abi

    def of(self, declaration: str) -> str:
        """The ctypes type of an argument or a field; a name at its end is passed over."""
        callback = re.fullmatch(r"(.+?) ?\(\*\w+\)\((.*)\)", declaration)
        if callback is not None:
            parts = [self.result(callback[1])]
            parts += [self.of(part) for part in split_arguments(callback[2])]
            return f"CFUNCTYPE({', '.join(parts)})"
        words = declaration.replace("const", " ")
        stars = words.count("*")
        base = words.replace("*", " ").split()[0]
        if stars == 0:
            return self.plain(base)
        known = base in self.abi.sizes or base in self.abi.numbers or (base in SCALARS and base != "uint8_t")
        if stars == 1:
            return f"POINTER({self.plain(base)})" if known else "c_void_p"
        if stars == 2:
            return f"POINTER(POINTER({self.plain(base)}))" if known else "POINTER(c_void_p)"
        raise SystemExit(f"what is this: {declaration}")

    def result(self, declaration: str) -> str:
        """The ctypes type of what is returned."""
        return "None" if declaration == "void" else self.of(declaration)

    def plain(self, base: str) -> str:
        if base in SCALARS:
            return SCALARS[base]
        if base in self.abi.numbers:
            return "c_uint32"
        if base in self.abi.sizes:
            return base
        raise SystemExit(f"there is no type {base}")


def camel(name: str) -> str:
    return "".join(part.capitalize() for part in name[len("zfsvol_") :].split("_"))


def constant_groups(abi: Abi) -> Tuple[Dict[str, List[Tuple[str, int]]], List[Tuple[str, int]]]:
    """The constants by their types, and those that have none."""
    prefixes = {PREFIXES.get(name, name.upper() + "_"): name for name in abi.numbers}
    groups: Dict[str, List[Tuple[str, int]]] = {name: [] for name in abi.numbers}
    alone = []
    for constant, value in abi.constants.items():
        fitting = [prefix for prefix in prefixes if constant.startswith(prefix)]
        if not fitting:
            alone.append((constant[len("ZFSVOL_") :], value))
            continue
        prefix = max(fitting, key=len)
        member = constant[len(prefix) :]
        groups[prefixes[prefix]].append((("V" + member) if member[0].isdigit() else member, value))
    for name, members in groups.items():
        if not members:
            raise SystemExit(f"{name} has no numbers")
    return groups, alone


def field_name(declaration: str) -> str:
    callback = re.search(r"\(\*(\w+)\)", declaration)
    if callback is not None:
        return callback[1]
    found = re.search(r"(\w+)$", declaration)
    if found is None:
        raise SystemExit(f"what is this: {declaration}")
    return found[1]


def write(abi: Abi, structs: Dict[str, List[str]]) -> str:
    types = Types(abi)
    if set(structs) != set(abi.sizes):
        raise SystemExit("zfsvol.h and zfsvol.abi do not have the same structs: make generate")
    out = [
        '"""The C ABI of libzfsvol, as ctypes has it. Generated by tools/generate.py from include/zfsvol.abi: do not edit."""',
        "",
        "# ruff: noqa: E501",
        "# fmt: off",
        "from __future__ import annotations",
        "",
        "import ctypes",
        "import enum",
        "from ctypes import CFUNCTYPE, POINTER, c_bool, c_char_p, c_int32, c_int64, c_size_t, c_uint8, c_uint32, c_uint64, c_void_p",
        "from typing import Any, Callable",
        "",
    ]
    groups, alone = constant_groups(abi)
    out += [f"{name} = {value}" for name, value in alone]
    for name in abi.numbers:
        base = "IntFlag" if name in FLAGS else "IntEnum"
        out += ["", "", f"class {camel(name)}(enum.{base}):", f'    """`{name}`"""', ""]
        out += [f"    {member} = {value}" for member, value in sorted(groups[name], key=lambda pair: pair[1])]
    out += [
        "",
        "",
        "class Text(c_char_p):",
        '    """A pointer to bytes that are not ended by a NUL: ctypes keeps the bytes, and does not read them by itself."""',
    ]
    for name, declarations in structs.items():
        out += ["", "", f"class {name}(ctypes.Structure):", f'    """`{name}`"""', "", "    _fields_ = ["]
        for declaration in declarations:
            text = name == "zfsvol_str" and declaration.startswith("const char *")
            kind = "Text" if text else types.of(declaration)
            out.append(f'        ("{field_name(declaration)}", {kind}),')
        out.append("    ]")
    out += [
        "",
        "",
        "def _function(library: ctypes.CDLL, name: str, result: Any, arguments: list[Any]) -> Callable[..., Any]:",
        "    function = getattr(library, name)",
        "    function.restype = result",
        "    function.argtypes = arguments",
        "    return function  # type: ignore[no-any-return]",
        "",
        "",
        "class Library:",
        '    """The functions of the library, by their names without `zfsvol_`."""',
        "",
        "    def __init__(self, library: ctypes.CDLL) -> None:",
        "        def function(name: str, result: Any, arguments: list[Any]) -> Callable[..., Any]:",
        "            return _function(library, name, result, arguments)",
        "",
    ]
    for name, (result, arguments) in abi.functions.items():
        kinds = ", ".join(types.of(part) for part in split_arguments(arguments))
        out.append(f'        self.{name[len("zfsvol_") :]} = function("{name}", {types.result(result)}, [{kinds}])')
    return "\n".join(out) + "\n"


def check_layout(source: str, abi: Abi) -> None:
    """Compares what ctypes makes of the structs with what zfsvol.abi says of them."""
    module: Dict[str, object] = {}
    exec(compile(source, str(TARGET), "exec"), module)
    for name, size in abi.sizes.items():
        made = module[name]
        assert isinstance(made, type) and issubclass(made, ctypes.Structure)
        if ctypes.sizeof(made) != size:
            raise SystemExit(f"{name} has {ctypes.sizeof(made)} bytes and not {size}")
        laid = [(part[0], getattr(made, part[0]).offset, getattr(made, part[0]).size) for part in made._fields_]
        if laid != abi.fields[name]:
            raise SystemExit(f"the fields of {name} are {laid} and not {abi.fields[name]}")


def main(arguments: List[str]) -> Optional[str]:
    abi = read_abi((INCLUDE / "zfsvol.abi").read_text())
    source = write(abi, read_structs((INCLUDE / "zfsvol.h").read_text()))
    check_layout(source, abi)
    if arguments == ["--check"]:
        if not TARGET.exists() or TARGET.read_text() != source:
            return f"{TARGET.name} is stale: run bindings/python/tools/generate.py"
        return None
    if arguments:
        return __doc__
    TARGET.write_text(source)
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
