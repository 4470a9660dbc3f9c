"""dpkg and apt: a package is built, installed from its file without a network, and removed."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from support import Shell

NAME = "capsem-diag"

CONTROL = f"""Package: {NAME}
Version: 1.2-3
Architecture: all
Maintainer: nobody <nobody@localhost>
Depends: bash
Description: made by the diagnostics
"""

# Tells the world of itself, as packages that add users or services do.
SCRIPTS = {
    "postinst": f'#!/bin/sh\nset -e\nmkdir -p /var/lib/{NAME}\necho "$1" >/var/lib/{NAME}/state\n',
    "postrm": f'#!/bin/sh\nset -e\nif [ "$1" = purge ]; then rm -r /var/lib/{NAME}; fi\n',
}
PROGRAM = f"#!/bin/sh\n. /etc/{NAME}.conf\necho installed $answer\n"
INSTALLED = [Path("/usr/bin") / NAME, Path("/etc") / f"{NAME}.conf", Path("/var/lib") / NAME / "state"]


def build(directory: Path) -> Path:
    root = directory / "root"
    files = {f"usr/bin/{NAME}": PROGRAM, f"etc/{NAME}.conf": "answer=42\n", "DEBIAN/control": CONTROL,
             "DEBIAN/conffiles": f"/etc/{NAME}.conf\n", **{f"DEBIAN/{n}": t for n, t in SCRIPTS.items()}}
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755 if text.startswith("#!") else 0o644)
    Shell(directory)(f"dpkg-deb --root-owner-group -Znone --build root {NAME}.deb")
    return directory / f"{NAME}.deb"


@dataclass
class Seen:
    """What was there after a step."""

    status: str
    files: list[bool]
    printed: str


@dataclass
class History:
    deb: Path
    installed: Seen
    owner: str
    removed: Seen
    purged: Seen


def look(run: Shell) -> Seen:
    query = f"dpkg-query -W -f '${{db:Status-Status}} ${{Version}}\\n' {NAME} 2>/dev/null || echo none"
    status, printed = run(f"{query}; {NAME} 2>/dev/null || echo none").splitlines()
    return Seen(status, [path.exists() for path in INSTALLED], printed)


@pytest.fixture(scope="module")
def history(scratch: Path) -> History:
    """Installs, removes and purges the package once for all tests, looking after each step."""
    directory = scratch / "deb"
    directory.mkdir()
    scratch.chmod(0o755)  # for apt's own user
    run = Shell(directory, {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"})
    deb = build(directory)
    try:
        run(f"apt-get install -y -q ./{deb.name}")
        installed, owner = look(run), run(f"dpkg -S /usr/bin/{NAME}")
        run(f"apt-get remove -y -q {NAME}")
        removed = look(run)
    finally:
        run(f"dpkg --purge {NAME}")
    return History(deb, installed, owner, removed, look(run))


def test_apt_installs_a_package_from_a_file(history: History) -> None:
    assert history.installed.status == "installed 1.2-3"
    assert history.installed.files == [True, True, True]


def test_what_was_installed_runs(history: History) -> None:
    assert history.installed.printed == "installed 42"


def test_dpkg_knows_whose_a_file_is(history: History) -> None:
    assert history.owner == f"{NAME}: /usr/bin/{NAME}\n"


def test_apt_removes_it_and_keeps_its_configuration(history: History) -> None:
    assert history.removed.status == "config-files 1.2-3"
    assert history.removed.files == [False, True, True]


def test_purge_takes_the_rest(history: History) -> None:
    assert (history.purged.status, history.purged.printed) == ("none", "none")
    assert history.purged.files == [False, False, False]


def test_a_package_file_is_looked_into(history: History) -> None:
    run = Shell(history.deb.parent)
    assert run(f"dpkg-deb -f {history.deb.name} Version Depends") == "Version: 1.2-3\nDepends: bash\n"
    assert "-rwxr-xr-x root/root" in run(f"dpkg-deb -c {history.deb.name} | grep usr/bin/{NAME}")


def test_a_missing_dependency_is_refused(tmp_path: Path) -> None:
    run = Shell(tmp_path)
    run("mkdir -p r/DEBIAN; printf 'Package: capsem-diag-needy\\nVersion: 1\\nArchitecture: all\\n"
        "Maintainer: n <n@localhost>\\nDepends: no-such-package\\nDescription: x\\n' >r/DEBIAN/control")
    run("dpkg-deb --root-owner-group -Znone --build r x.deb >/dev/null")
    try:
        assert "no-such-package" in run("dpkg -i x.deb 2>&1", status=1)
    finally:
        run("dpkg --purge capsem-diag-needy")


def test_the_installed_packages_are_whole() -> None:
    run = Shell(Path("/"))
    assert run("dpkg --audit") == ""
    # Configuration may be changed, and documentation left out.
    assert run("dpkg --verify bash libc6 | grep -v -e ' c /etc/' -e /usr/share/ || true") == ""
