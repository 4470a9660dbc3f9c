"""Users: made and removed, what they may do and what not, and changing from one to another."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import LIMIT_S, Shell

USER, GROUP = "capsem-diag", "capsem-diag-team"


@pytest.fixture(scope="module")
def user() -> Iterator[str]:
    """A user with a home, in a second group; gone afterwards."""
    run = Shell(Path("/"))
    run(f"groupadd {GROUP} && useradd -m -s /bin/bash -G {GROUP} {USER}")
    try:
        yield USER
    finally:
        run(f"userdel -r {USER} 2>&1; groupdel {GROUP}; ! getent passwd {USER} && ! getent group {GROUP}")
        assert not Path("/home", USER).exists()


@pytest.fixture
def public() -> Iterator[Path]:
    """A directory that other users may enter, unlike tmp_path."""
    directory = Path(tempfile.mkdtemp(prefix="capsem-diag-", dir="/var/tmp"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


def as_user(line: str, status: int = 0) -> str:
    """What a shell of the user prints for `line`; without a login, which takes much longer."""
    ended = subprocess.run(
        ["bash", "-c", line],
        user=USER, group=USER, extra_groups=[GROUP], cwd=f"/home/{USER}",
        capture_output=True, text=True, timeout=LIMIT_S,
    )
    assert ended.returncode == status, f"'{line}' ended with {ended.returncode}: {ended.stderr.strip()}"
    return ended.stdout


def test_su_becomes_the_user(user: str) -> None:
    run = Shell(Path("/"))
    assert run(f"su - {USER} -c 'id -un; id -Gn; echo $HOME; pwd'").splitlines() == [
        USER, f"{USER} {GROUP}", f"/home/{USER}", f"/home/{USER}"
    ]


def test_the_home_is_the_users_own(user: str) -> None:
    home = Path("/home", USER)
    assert home.owner() == home.group() == USER
    as_user("echo mine >f && rm f && test -f .profile")


@pytest.mark.parametrize("line", ["touch /etc/f", "cat /etc/shadow", "ls /root", "rm /bin/true", "kill 1", "chown root ."])
def test_the_user_may_not(user: str, line: str) -> None:
    as_user(line, status=2 if line.startswith("ls") else 1)
    assert Path("/bin/true").exists()


def test_the_user_has_no_capabilities(user: str) -> None:
    status = as_user("cat /proc/self/status")
    assert "CapEff:\t0000000000000000\n" in status


def test_a_private_file_stays_private_and_a_group_shares_one(user: str, public: Path) -> None:
    for name, mode in [("private", 0o600), ("shared", 0o640)]:
        (public / name).write_text(name)
        (public / name).chmod(mode)
        shutil.chown(public / name, "root", GROUP)
    assert as_user(f"cat {public}/private || cat {public}/shared") == "shared"


def test_a_setuid_program_runs_as_its_owner(user: str, public: Path) -> None:
    program = shutil.copy("/usr/bin/id", public / "id")
    os.chmod(program, 0o4755)
    assert as_user(f"{program} -u; {program} -ru").split() == ["0", str(pwd.getpwnam(USER).pw_uid)]


def test_a_sticky_directory_protects_what_others_put_there(user: str, public: Path) -> None:
    public.chmod(0o1777)
    (public / "roots").touch()
    as_user(f"touch {public}/own && rm {public}/own && rm -f {public}/roots", status=1)
    assert (public / "roots").exists()


def test_a_password_is_set(user: str) -> None:
    Shell(Path("/"))(f"echo {USER}:correct-horse | chpasswd && getent shadow {USER} | grep -q '^{USER}:[$]y[$]'")


def test_root_ends_a_process_of_the_user(user: str) -> None:
    with subprocess.Popen(["setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups", "sleep", "1000"]) as process:
        process.terminate()
        assert process.wait(LIMIT_S) == -signal.SIGTERM


def test_a_program_gives_its_rights_up_for_good(user: str) -> None:
    line = f"setpriv --reuid={USER} --regid={USER} --clear-groups --inh-caps=-all bash -c 'echo $EUID; echo x >/etc/f'"
    assert Shell(Path("/"))(line, status=1) == f"{pwd.getpwnam(USER).pw_uid}\n"
