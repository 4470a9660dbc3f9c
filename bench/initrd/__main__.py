"""python3 bench/initrd [--build DIRECTORY] [--input NAME] [ROWS...]: the initrd engine beside what
Debian has for the same work. Exit status 1 when a bar is missed."""

import argparse
import sys
from pathlib import Path

import packing
import reading
from context import INPUTS, Context
from inputs import remove
from table import Table

_ROWS = {
    "repack": packing.repack,
    "unchanged": packing.unchanged,
    "cold": packing.cold,
    "size": packing.size,
    "list": reading.list_image,
    "extract": reading.extract,
    "memory": reading.memory,
}


def main() -> int:
    source = Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(prog="bench/initrd")
    parser.add_argument("--build", type=Path, default=source / "build/dev")
    parser.add_argument(
        "--input", action="append", choices=INPUTS, help="only this one; may be given again"
    )
    parser.add_argument("rows", nargs="*", metavar="ROWS", help=", ".join(_ROWS))
    arguments = parser.parse_args()
    if unknown := set(arguments.rows) - set(_ROWS):
        parser.error(
            f"there are no rows {', '.join(sorted(unknown))}; there are {', '.join(_ROWS)}"
        )
    table = Table()
    context = Context(
        source / "build/bench-initrd", arguments.build, arguments.input or list(INPUTS), table
    )
    for name, row in _ROWS.items():
        if name in arguments.rows or not arguments.rows:
            row(context)
    remove(context.out)
    return table.finish()


sys.exit(main())
