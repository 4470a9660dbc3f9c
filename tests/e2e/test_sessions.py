"""What a session is and is not: root of its own processes and files, not of the machine. The doctor
tries the attacks one by one; here is what they would be made of, and what goes on working."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from conftest import LIMIT_S, Capsem, Checkout, error_lines, the_error

# capabilities(7): those of manifest::kSessionCapabilities
CAPABILITIES = "chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service net_raw sys_chroot audit_write setfcap"
BITS = sum(1 << bit for bit in (0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 29, 31))


def test_a_session_has_the_capabilities_of_sessions_and_no_way_to_more(capsem: Capsem) -> None:
    result = capsem.run("grep -E 'Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status")
    sets = dict(line.split(":\t") for line in result.stdout.decode().splitlines())
    assert {name: int(bits, 16) for name, bits in sets.items()} == {
        "CapInh": 0, "CapPrm": BITS, "CapEff": BITS, "CapBnd": BITS, "CapAmb": 0
    }


def test_a_service_has_only_what_its_entry_says(capsem: Capsem) -> None:
    sets = " ".join(f"/proc/$(pgrep -x {name})/status" for name in ("capsem-net-prox", "net-looker"))
    result = capsem.run("--privileged", f"grep -hE 'Cap(Bnd|Prm)' {sets}")
    permitted, bounding, of_looker, _ = (int(line.split()[1], 16) for line in result.stdout.splitlines())
    # Only the part that looks who made a connection keeps it.
    assert (permitted, of_looker, bounding) == (0, 1 << 19, 1 << 19)  # sys_ptrace


def test_services_have_a_network_of_their_own_with_nothing_in_it(capsem: Capsem) -> None:
    result = capsem.run(
        "--privileged",
        "for p in 1 $(pgrep -x capsem-net-prox) $(pgrep -x net-looker) self; do readlink /proc/$p/ns/net; done; "
        "nsenter -t 1 -n ip -br link; nsenter -t 1 -n ss -tuwH",
    )
    machine, proxy, looker, session, *rest = result.stdout.decode().splitlines()
    assert machine == proxy == looker != session
    assert [line.split()[0] for line in rest] == ["lo"]


def test_sessions_see_no_process_but_their_own(capsem: Capsem) -> None:
    result = capsem.run("ps -e -o comm=; kill -9 1; kill -STOP 1; kill -SEGV 1; ps -o stat= 1")
    *names, state = result.stdout.decode().split()
    assert names[0] == "session-init"
    assert set(names) <= {"session-init", "bash", "ps"}
    assert state.startswith("S")


def test_orphans_are_adopted_and_reaped(capsem: Capsem) -> None:
    result = capsem.run(
        "(sh -c 'echo $$ > /tmp/pid; exec sleep 0.1' &); "
        "until [ -s /tmp/pid ] && ! kill -0 $(cat /tmp/pid) 2>/dev/null; do sleep 0.05; done; echo gone"
    )
    assert result.stdout == b"gone\n"


def test_a_terminal_has_a_name_in_the_session(capsem: Capsem) -> None:
    for words in ([], ["--privileged"]):
        result = capsem.run(*words, "python3 -c 'import pty; pty.spawn([\"tty\"])'")
        assert result.stdout.strip().startswith(b"/dev/pts/")


@pytest.mark.parametrize(
    "attack",
    [
        "mount -o remount,rw,bind /capsem",
        "umount /capsem",
        "mount -o remount,rw,bind /proc/sys",
        "umount /proc/sys",
        "mount -o remount,rw,bind /sys",
        "mount -t proc proc /mnt",
    ],
)
def test_a_namespace_of_ones_own_opens_nothing(capsem: Capsem, attack: str) -> None:
    result = capsem.run(f"unshare -rm sh -c 'mount -t tmpfs t /mnt || exit 9; {attack} && exit 8; exit 7'")
    assert result.returncode == 7, result.stderr


# request_key(2), number 249, has the kernel execute /sbin/request-key as root beside PID 1.
HELPER = (
    "mkdir /tmp/sbin; cp -a /sbin/. /tmp/sbin; "
    "printf '#!/bin/sh\\ntouch /run/capsem/root/tmp/helped /tmp/helped\\n' > /tmp/sbin/request-key; "
    "chmod 755 /tmp/sbin/request-key; {mount}; "
    "python3 -c 'import ctypes; ctypes.CDLL(None).syscall(249, b\"user\", b\"capsem\", b\"callout\", 0)'; "
    "ls /tmp/helped"
)


def test_the_kernel_starts_no_program_of_a_session(capsem: Capsem) -> None:
    result = capsem.run(HELPER.format(mount="cp /tmp/sbin/request-key /sbin"))
    assert b"helped" not in result.stdout
    # It is not that nobody asked: with the file where PID 1 looks, it runs.
    result = capsem.run(
        "--privileged",
        HELPER.format(mount="nsenter -t 1 -m mount --bind /run/capsem/root/tmp/sbin /usr/sbin"),
    )
    assert result.stdout == b"/tmp/helped\n", result.stderr


def test_no_cgroup_can_be_reached(capsem: Capsem) -> None:
    result = capsem.run("unshare -UrmC true; unshare -Urm mount -t cgroup2 none /mnt; mkdir /sys/fs/cgroup/x; echo tried")
    assert result.stdout == b"tried\n"
    assert len(error_lines(result)) >= 3


def test_nothing_of_proc_and_sys_opens_for_writing_but_ones_own(capsem: Capsem) -> None:
    # What nobody has the permission to write has nothing that takes it, though root may open it.
    find = "find /proc /sys -type f -not -path '/proc/[0-9]*' -perm /222 -writable 2>/dev/null"
    assert capsem.run(f"{find}; echo searched").stdout == b"searched\n"
    assert b"/proc/dynamic_debug/control\n" in capsem.run("--privileged", f"{find} -not -path '/sys/*'").stdout


def test_full_file_systems_leave_room_to_go_on(capsem: Capsem) -> None:
    result = capsem.run(
        "for d in /tmp /dev/shm /run /root; do head -c 2G /dev/zero >$d/f; done; ls /usr/bin | wc -l; rm /tmp/f; "
        "python3 -c 'print(6 * 7)'"
    )
    assert result.stdout.split()[-1] == b"42", result.stderr
    assert b"No space left on device" in result.stderr


def test_programs_of_capsem_are_found_before_others(capsem: Capsem) -> None:
    result = capsem.run("cp /bin/true /usr/local/bin/snapshots; type -p snapshots; bash -lc 'type -p snapshots'")
    assert result.stdout == b"/capsem/bin/snapshots\n" * 2


# What nothing else shows: a kernel that starts helpers, one that goes on after an oops, one that looks
# for memory for ever where it runs out for others than sessions.
SETTINGS = {
    "/proc/sys/kernel/core_pattern": "core",
    "/proc/sys/kernel/modprobe": "",
    "/proc/sys/kernel/panic_on_oops": "1",
    "/proc/sys/kernel/sysrq": "0",
    "/sys/kernel/mm/lru_gen/min_ttl_ms": "1000",
}


def test_the_kernel_has_the_settings_of_the_init(capsem: Capsem) -> None:
    result = capsem.run(f"for f in {' '.join(SETTINGS)}; do echo $f=$(cat $f); done")
    assert dict(line.split("=") for line in result.stdout.decode().splitlines()) == SETTINGS


def test_a_privileged_session_may_do_everything_and_says_so(capsem: Capsem) -> None:
    result = capsem.run(
        "--privileged",
        "set -e; mount -o remount,rw /capsem; mount -o remount,rw,bind /capsem; touch /capsem/new; "
        "mount -t tmpfs t /mnt; modprobe nf_tables; nft list ruleset; sysctl -q -w kernel.sysrq=1; kill -0 $(pgrep -x capsem-net-prox); ls -d /proc/1/root",
    )
    assert result.returncode == 0, result.stderr
    assert [line for line in error_lines(result) if "this session is privileged" in line]
    assert not [line for line in error_lines(capsem.run("true")) if "privileged" in line]


@pytest.mark.parametrize(
    ("work", "said"),
    [
        ("useradd -m bob && su bob -c 'id -un; touch ~/own' && userdel -r bob", b"bob\n"),
        ("su -s /bin/bash nobody -c 'id -un'", b"nobody\n"),
        ("strace -o /dev/null -e trace=none true && echo traced", b"traced\n"),
        (
            "sleep 100 & p=$!; strace -o /tmp/trace -p $p & until grep -q 'TracerPid:.*[1-9]' /proc/$p/status; do :; done; "
            "kill $p; wait; grep -c SIGTERM /tmp/trace",
            b"2\n",
        ),
        ("ping -c 1 -q 127.0.0.1 >/dev/null && echo pinged", b"pinged\n"),
        ("install -o nobody -m 4755 /bin/true /tmp/t && stat -c '%U %a' /tmp/t", b"nobody 4755\n"),
        ("chroot / echo in && unshare -rm mount -t tmpfs t /mnt && echo mounted", b"in\nmounted\n"),
        ("tmux new-session -d -s s 'sleep 100' && tmux list-sessions -F '#S'", b"s\n"),
    ],
)
def test_what_an_ordinary_root_needs_works(capsem: Capsem, work: str, said: bytes) -> None:
    result = capsem.run(work)
    assert result.stdout == said, result.stderr


def test_under_emulation_addresses_are_fixed_for_sessions_and_random_for_services(capsem: Capsem) -> None:
    where = "grep -m1 stack /proc/self/maps"
    lines = f"{where}; {where}; setarch $(uname -m) {where}; setarch $(uname -m) {where}"
    first, second, *random = capsem.run(lines).stdout.splitlines()
    assert first == second and len({first, *random}) == 3, (first, second, random)
    personality = "cat /proc/1/personality /proc/$(pgrep -x capsem-net-prox)/personality /proc/self/personality"
    assert capsem.run("--privileged", personality).stdout.split() == [b"00000000", b"00000000", b"00040000"]


def test_files_are_those_of_all_sessions(capsem: Capsem) -> None:
    # A privileged session has no root of its own, but the one that PID 1 has for all of them.
    result = capsem.run(
        "--privileged",
        "set -e; touch /tmp/a /root/b /run/c; nsenter -t 1 -m ls /run/capsem/root/tmp/a /run/capsem/root/root/b "
        "/run/capsem/root/run/c; ! ls /run/capsem/root",
    )
    assert (result.returncode, len(result.stdout.split())) == (0, 3), result.stderr


@pytest.mark.parametrize("words", [[], ["--privileged"]])
def test_the_end_of_the_machine_can_be_asked_for(capsem: Capsem, words: Sequence[str]) -> None:
    result = capsem.run(*words, "capsem-sysutil poweroff; sleep 100")
    assert result.returncode == 125
    assert "the guest was switched off" in error_lines(result)[-1]


@pytest.mark.parametrize(
    ("user", "said"),
    [
        ("daemon", "1 1 /usr/sbin /usr/sbin daemon daemon /usr/sbin/nologin"),
        ("1", "1 1 /usr/sbin /usr/sbin daemon daemon /usr/sbin/nologin"),
        ("daemon:tty", "1 5 /usr/sbin /usr/sbin daemon daemon /usr/sbin/nologin"),
        ("4711:4712", "4711 4712 / / 4711 4711 /bin/sh"),
        ("root", "0 0 /root /root root root /bin/bash"),
        # Debian's home of nobody does not exist.
        ("nobody", "65534 65534 / /nonexistent nobody nobody /usr/sbin/nologin"),
    ],
)
def test_a_session_is_the_user_that_was_asked_for(capsem: Capsem, user: str, said: str) -> None:
    result = capsem.run("--user", user, "echo $(id -u) $(id -G) $PWD $HOME $USER $LOGNAME $SHELL")
    assert (result.returncode, result.stdout.decode().strip()) == (0, said), result.stderr


@pytest.mark.parametrize("words", [[], ["--privileged"]])
def test_a_user_has_no_capabilities(capsem: Capsem, words: Sequence[str]) -> None:
    result = capsem.run(*words, "--user", "nobody", "grep -E 'Cap(Inh|Prm|Eff|Amb)' /proc/self/status; touch /etc/passwd")
    assert [int(line.split()[1], 16) for line in result.stdout.decode().splitlines()] == [0] * 4
    assert result.returncode == 1
    assert "Permission denied" in error_lines(result)[-1]


def test_root_by_its_name_has_the_capabilities_of_sessions(capsem: Capsem) -> None:
    result = capsem.run("--user", "root", "grep CapEff /proc/self/status")
    assert int(result.stdout.split()[1], 16) == BITS


def test_a_users_terminal_and_pipes_are_its_own(capsem: Capsem) -> None:
    words = ["-n", "--user", "nobody", "stat -Lc %U /dev/stdin; echo again > /dev/stdout; echo err > /dev/stderr"]
    result = capsem.run(*words)
    assert (result.stdout, result.stderr) == (b"nobody\nagain\n", b"err\n")
    line = "stat -c '%U %G %a' $(tty); echo name > $(tty); echo device > /dev/tty; tty"
    command = capsem.command("run", "--accel", "tcg", "--tty", "--user", "nobody", line)
    result = subprocess.run(
        ["python3", "-c", f"import pty; pty.spawn({command!r})"], stdin=subprocess.DEVNULL, capture_output=True,
        env=capsem.env(), timeout=LIMIT_S,
    )
    assert result.stdout.split() == b"nobody tty 620 name device /dev/pts/0".split(), result.stdout


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--user", "eve"], "cannot find the user eve: the guest's /etc/passwd does not have it"),
        (["--user", "nobody:eves"], "cannot find the group eves: the guest's /etc/group does not have it"),
        (["--user", "nobody", "--workdir", "/root"], "cannot enter the directory /root in the guest: Permission denied"),
        (["--workdir", "/no/such"], "cannot enter the directory /no/such in the guest: No such file or directory"),
        (["--workdir", "/etc/passwd"], "cannot enter the directory /etc/passwd in the guest: Not a directory"),
    ],
)
def test_a_user_or_directory_that_does_not_do_is_said_in_words(
    capsem: Capsem, words: Sequence[str], error: str
) -> None:
    result = capsem.run(*words, "true")
    assert (result.returncode, the_error(result)) == (126, f"capsem: {error}")


def test_a_session_has_the_directory_and_the_variables_that_were_asked_for(capsem: Capsem, tmp_path: Path) -> None:
    file = tmp_path / "variables"
    file.write_text("# of a file\nFILE=a b\nBOTH=file\n\n")
    other = Capsem(capsem.executable, {"OURS": "from here"})
    result = other.run(
        "--workdir", "/usr/bin", "--env", "OURS", "--env", "BOTH=option", "--env-file", str(file), "--env=LIST=[x,y]",
        "--env", "PATH=/usr/bin", "--", "bash", "-c", 'echo "$PWD|$FILE|$BOTH|$OURS|$LIST|$PATH|$HOME"',
    )
    assert result.stdout == b"/usr/bin|a b|option|from here|[x,y]|/usr/bin|/root\n", result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--env", "LD_PRELOAD=/tmp/x.so"], "the variable LD_PRELOAD of --env"),
        (["--env", "BASH_FUNC_ls%%=() { id; }"], "the variable BASH_FUNC_ls%% of --env"),
        (["--env", "NOT_SET_ANYWHERE"], "the variable NOT_SET_ANYWHERE of --env"),
        (["--env", "=x"], "a variable of --env: it has no name"),
        (["--env-file", "FILE"], "the variable PYTHONPATH of FILE, line 3"),
        (["--env-file", "/no/such"], "cannot open /no/such"),
        (["--user", ":tty"], "':tty' is not NAME or UID"),
        (["--workdir", "tmp"], "'tmp' is not absolute"),
    ],
)
def test_options_that_are_refused_start_nothing(
    checkout: Checkout, tmp_path: Path, words: Sequence[str], said: str
) -> None:
    (checkout.build / "build.ninja").write_text("a build that must not run")
    file = tmp_path / "variables"
    file.write_text("# refused\nA=1\nPYTHONPATH=/tmp\n")
    result = checkout.run(*(word.replace("FILE", str(file)) for word in words), "true")
    assert (result.returncode, result.stdout) == (125, b"")
    assert said.replace("FILE", str(file)) in the_error(result)
