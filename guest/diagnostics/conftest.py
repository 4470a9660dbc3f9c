"""What the diagnostics share. They run inside the guest: pytest -p no:cacheprovider /capsem/diagnostics"""

import subprocess
from collections.abc import Callable

import pytest

LIMIT_S = 60


@pytest.fixture
def shell(tmp_path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a command line in bash, in an empty directory of its own."""

    def run(line: str, **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT_S, **options
        )

    return run
