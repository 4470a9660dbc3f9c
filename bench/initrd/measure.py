"""Whole processes, timed one at a time; those that are compared take turns."""

import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

SLOW_MS = 3000
VERY_SLOW_MS = 20_000
# Without a shell, whose start would have to be taken off; a pipeline names its own.
_HYPERFINE = ["hyperfine", "--shell=none", "--runs=1", "--style=none", "--output=inherit"]


@dataclass(frozen=True)
class Command:
    argv: Sequence[str | Path]
    cwd: Path
    environment: dict[str, str] = field(default_factory=dict)
    prepare: Callable[[], object] = lambda: None  # not timed

    def after(self, prepare: Callable[[], object]) -> "Command":
        return replace(self, prepare=prepare)


@dataclass(frozen=True)
class Run:
    wall_ms: float
    processor_ms: float  # user and system, with the children's


def pipeline(script: str, cwd: Path) -> Command:
    return Command(["bash", "-o", "pipefail", "-c", script], cwd)


def run(command: Command) -> Run:
    """One run, timed by hyperfine; the bench ends with what the command said when it fails."""
    command.prepare()
    os.sync()  # so that it does not wait for what others wrote
    environment = {**os.environ, "LC_ALL": "C", **command.environment}
    environment.pop("SOURCE_DATE_EPOCH", None)
    words = shlex.join(map(str, command.argv))
    with tempfile.NamedTemporaryFile() as report, tempfile.TemporaryFile() as said:
        done = subprocess.run(
            [*_HYPERFINE, f"--export-json={report.name}", words],
            cwd=command.cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
        )
        if done.returncode != 0:
            said.seek(0)
            sys.exit(f"bench: {words}: {said.read().decode(errors='replace')}")
        seen = json.load(report)["results"][0]
    return Run(1000 * seen["median"], 1000 * (seen["user"] + seen["system"]))


def take_turns(commands: Sequence[Command], rounds: int) -> list[Run]:
    """The medians of `rounds` runs of each, but no more than three when one is slow and only one
    when one is very slow; every other round in the opposite order."""
    runs: list[list[Run]] = [[] for _ in commands]
    for number in range(rounds):
        order = list(zip(commands, runs))
        for command, done in reversed(order) if number % 2 else order:
            slowest = max((first[0].wall_ms for first in runs if first), default=0.0)
            most = 1 if slowest > VERY_SLOW_MS else 3 if slowest > SLOW_MS else rounds
            if len(done) < most:
                done.append(run(command))
    return [
        Run(
            statistics.median(one.wall_ms for one in done),
            statistics.median(one.processor_ms for one in done),
        )
        for done in runs
    ]


def peak_mb(command: Command) -> float:
    """The largest resident set of one run. GNU time starts it, since a process counts the memory of
    the one that started it until its own exec."""
    with tempfile.NamedTemporaryFile(mode="r") as report:
        run(
            Command(
                ["/usr/bin/time", "-f", "%M", "-o", report.name, *command.argv],
                command.cwd,
                command.environment,
                command.prepare,
            )
        )
        return int(report.read().split()[-1]) / 1024
