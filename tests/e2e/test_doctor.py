"""The doctor in the guest: its report, and that each check fails when its subject does."""

import contextlib
import fcntl
import json
import os
import subprocess
import termios
import xml.etree.ElementTree
from dataclasses import dataclass

import pytest

from conftest import Capsem, Checkout, LIMIT_S

# Diagnostics start hundreds of processes on an emulated processor.
DIAGNOSTICS_LIMIT_S = 900

# Groups that do not start Python.
OWN = "--skip diagnostics"


@dataclass
class Report:
    data: dict

    @property
    def checks(self) -> dict[tuple[str, str], dict]:
        return {(check["group"], check["name"]): check for check in self.data["checks"]}

    def names(self, verdict: str) -> list[str]:
        return [c["name"] for c in self.data["checks"] if c["verdict"] == verdict]


def report_of(result: subprocess.CompletedProcess[bytes]) -> Report:
    return Report(json.loads(result.stdout))


@pytest.fixture(scope="module")
def ordinary(capsem: Capsem) -> Report:
    """What the doctor's own checks find in an ordinary session."""
    result = capsem.run(f"capsem-doctor --json {OWN}")
    assert result.returncode == 0, result.stdout.decode()
    return report_of(result)


@pytest.fixture(scope="module")
def privileged(capsem: Capsem) -> Report:
    result = capsem.run("--privileged", f"capsem-doctor --json {OWN}")
    assert result.returncode == 1
    return report_of(result)


def test_the_doctor_finds_nothing_wrong(capsem: Capsem) -> None:
    result = capsem.run("capsem-doctor --json", timeout=DIAGNOSTICS_LIMIT_S)
    report = report_of(result)
    assert report.names("fail") == []
    assert result.returncode == 0
    assert report.checks["diagnostics", "the run"]["verdict"] == "pass"


def test_json_counts_its_checks(ordinary: Report) -> None:
    for counter, verdict in (("passed", "pass"), ("failed", "fail"), ("skipped", "skip"), ("absent", "absent")):
        assert ordinary.data[counter] == len(ordinary.names(verdict))
    assert set(ordinary.data["checks"][0]) == {"group", "name", "expected", "seen", "verdict", "seconds"}


def test_its_own_checks_take_under_two_seconds_of_processor_time(capsem: Capsem) -> None:
    # The least of three: while the host runs something else, the guest's processor seems busy.
    result = capsem.run(f"for i in 1 2 3; do capsem-doctor --json {OWN}; echo @; done")
    *reports, _ = result.stdout.decode().split("@\n")
    assert 0 < min(json.loads(text)["processor_seconds"] for text in reports) < 2


def test_services_that_do_not_exist_are_absent_and_not_skipped(ordinary: Report) -> None:
    absent = {key for key, check in ordinary.checks.items() if check["verdict"] == "absent"}
    assert absent == {
        ("mcp", "port 5003"), ("lifecycle", "suspend"), ("audit", "port 5006"), ("snapshots", "snapshots list"),
    }
    assert {c["group"] for c in ordinary.data["checks"] if c["verdict"] == "skip"} == {"terminal"}


def test_every_port_of_the_host_is_tried(ordinary: Report) -> None:
    assert ordinary.checks["vsock", "ports 1 to 10000"]["seen"] == "answering: 5002 5007; 9998 refused"


def test_a_connection_that_no_rule_allows_is_reset(ordinary: Report) -> None:
    for name in ("TCP, IPv4", "TCP, IPv6", "TCP, another port"):
        assert ordinary.checks["network", name]["seen"] == "it connected, then: Connection reset by peer"


def test_the_checks_hold_whatever_the_policy(capsem: Capsem) -> None:
    groups = "--only network --only net --only dns --only vsock"
    result = capsem.run("--allow", "*", "--allow", "192.0.0.0/8", f"capsem-doctor --json {groups}")
    assert report_of(result).names("fail") == []


def test_each_binary_tells_where_it_came_from(ordinary: Report) -> None:
    for check in ordinary.data["checks"]:
        if check["group"] == "binaries" and check["name"].startswith("capsem-"):
            origin, digest, mode, owner = check["seen"].split()
            assert (origin, len(digest), mode, owner) == ("initrd", 12, "0555", "root:root")


def test_the_table_and_the_files_of_a_report(capsem: Capsem) -> None:
    result = capsem.run(
        "cd /tmp; capsem-doctor --only network --only clock --junit report.xml > table; cat table; "
        "echo @; cat report.xml; echo @; capsem-doctor --only clock --junit -; echo @; "
        "capsem-doctor --only clock --junit /dev/stderr > /dev/null; "
        "capsem-doctor --only clock --junit /nonexistent/x > /dev/null 2>&1; echo $?"
    )
    table, xml_file, xml_output, status = result.stdout.decode().split("@\n")
    lines = table.splitlines()
    assert lines[0].split() == ["pass", "network", "interfaces", "lo"]
    assert lines[-1].startswith("20 passed, 0 failed, 0 skipped, 0 absent; ")
    assert "\x1b" not in table
    suites = xml.etree.ElementTree.fromstring(xml_file)
    assert [suite.get("name") for suite in suites] == ["network", "clock"]
    assert (suites.get("tests"), suites.get("failures")) == ("20", "0")
    for text in (xml_output, result.stderr.decode()):
        assert xml.etree.ElementTree.fromstring(text).get("tests") == "3"
    assert status == "1\n"


def test_lists_and_wrong_usage(capsem: Capsem) -> None:
    result = capsem.run(
        "capsem-doctor --list; echo @; capsem-doctor --list --only binaries; echo @; capsem-doctor --help; "
        "for words in '--only' '--only nothing' '--jsn' 'boot' '--json --junit -'; do "
        "capsem-doctor $words; echo $? ; done"
    )
    groups, binaries, rest = result.stdout.decode().split("@\n")
    names = [line.split()[0] for line in groups.splitlines()]
    assert names[:3] == ["boot", "binaries", "protection"] and names[-1] == "diagnostics"
    assert "binaries  capsem-doctor: 0555 root:root, the hash of the deployed, nothing over it\n" in binaries
    assert rest.startswith("usage: capsem-doctor ")
    assert rest.split()[-5:] == ["2"] * 5
    lines = result.stderr.decode().splitlines()
    assert len(lines) == 5
    assert all(line.startswith("capsem: cannot run capsem-doctor: ") for line in lines)


def in_terminal(capsem: Capsem, command: str) -> str:
    """What `command` prints in a VM that has a terminal of 30 lines and 100 columns."""
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (30, 100))
    with subprocess.Popen(
        capsem.command("run", "--accel", "tcg", command),
        stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, env=capsem.env(), start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    ) as process:  # fmt: skip
        os.close(theirs)
        text = b""
        with contextlib.suppress(OSError):  # EIO: the other end is closed
            while piece := os.read(ours, 4096):
                text += piece
        os.close(ours)
        assert process.wait(LIMIT_S) == 0, text
    return text.decode()


def test_on_a_terminal_it_is_coloured_and_the_terminal_is_checked(capsem: Capsem) -> None:
    lines = in_terminal(capsem, "capsem-doctor --only terminal --only clock").splitlines()
    assert lines[0].startswith("\x1b[32mpass  \x1b[0m  terminal  window")
    assert lines[-1].startswith("8 passed, 0 failed, 0 skipped, 0 absent; ")


# --- every attack, with what holds it taken away ---

# By --privileged alone.
OPEN_TO_PRIVILEGED = [
    "modes of /proc", "bind mount over a program", "mount over /capsem", "overlay over /capsem",
    "remount rw: the file system", "remount rw: the mount", "umount /capsem", "move /capsem away",
    "services, init, kernel threads", "memory of PID 1", "memory of services", "ptrace of PID 1",
    "ptrace of services", "signals to services", "mount namespace of PID 1", "/dev/mem", "block devices",
    "mknod of /dev/mem", "mknod of the disk", "files by handle", "I/O ports", "init_module",
    "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot", "bpf",
    "write /proc/sys/kernel/core_pattern", "write /proc/sys/kernel/modprobe",
    "write /proc/sys/kernel/sysrq", "write /proc/sys/kernel/kptr_restrict",
    "write /proc/sys/vm/overcommit_memory", "write /proc/sys/net/ipv4/ip_forward",
    "write /proc/sys/fs/suid_dumpable", "write /proc/sysrq-trigger",
    "write /proc/irq/default_smp_affinity", "write /sys/bus/pci/rescan", "write /sys/power/state",
    "write /sys/module/kernel/parameters/panic", "write /sys/fs/cgroup/cgroup.subtree_control",
    "network: add a route", "network: remove a route", "network: add a rule", "network: add an address",
    "network: add an interface", "network: switch an interface", "network: that of PID 1",
    "capabilities", "capabilities of others",
]  # fmt: skip

# What this kernel refuses whoever asks, or does not have.
HELD_BY_THE_KERNEL = [
    "user namespace: remount rw: the file system",
    "user namespace: umount /capsem", "user namespace: move /capsem away",
    "user namespace: mount over /capsem", "SIGKILL to PID 1", "SIGSTOP to PID 1", "/dev/kmem",
    "/dev/port", "write /sys/kernel/uevent_helper", "user namespace: add a route", "user namespace: add a rule",
    "user namespace: a network",
]  # fmt: skip


def test_a_privileged_session_is_told_apart_by_each_check(privileged: Report) -> None:
    failed = [c["name"] for c in privileged.data["checks"] if c["group"] == "protection" and c["verdict"] == "fail"]
    assert failed == OPEN_TO_PRIVILEGED


def test_attacks_that_succeed_are_undone(capsem: Capsem) -> None:
    state = (
        "cat /proc/self/mountinfo; ls -lR --time-style=+ /capsem /dev /var/tmp /dev/shm; "
        "cat /proc/sys/kernel/core_pattern; ps -o stat= 1; ip rule; ip route; ip -br address"
    )
    result = capsem.run(
        "--privileged",
        f"mount -o remount,rw /capsem; ({state}) > /tmp/before; capsem-doctor --only protection > /tmp/table; "
        f"({state}) | diff /tmp/before - && grep -c ^FAIL /tmp/table",
    )
    assert int(result.stdout) > len(OPEN_TO_PRIVILEGED)


@dataclass
class Break:
    """A command that breaks something, what mends it, and which checks of a group find it."""

    how: str
    mend: str
    group: str
    names: list[str]


IN_INIT = "nsenter -t 1 -m --"

# Of the group "network", by what breaks them.
TCP = ["TCP, IPv4", "TCP, IPv6", "TCP, another port"]
NOT_CARRIED = ["UDP, IPv4", "UDP, IPv6", "UDP, multicast", "ICMP", "ICMPv6", "raw, IPv4", "raw, IPv6"]
LOOPBACK = ["loopback, IPv4", "loopback, IPv6", "loopback, UDP", "loopback, UDP of IPv6"]
# Which go with the interface that they lead to.
ROUTES = (
    "ip route replace local default dev lo src 127.0.0.1 table 100; ip -6 route replace local default dev lo "
    "table 100; ip -6 route replace unreachable default"
)

OF_PRIVILEGED = [
    # The protection that is more than capabilities.
    Break("mount -o remount,rw /capsem", "mount -o remount,ro /capsem", "protection", [
        "write a program", "write a data file", "truncate", "chmod", "chown", "rename", "unlink",
        "link over", "symlink over", "add a program", "user namespace: remount rw: the mount"]),
    Break(f"{IN_INIT} mount -o remount,rw /capsem", f"{IN_INIT} mount -o remount,ro /capsem", "protection",
          ["write a program", "write through /proc/1/root"]),
    # A kind of interface, for one, is loaded when somebody wants one.
    Break("echo /sbin/modprobe > /proc/sys/kernel/modprobe", "echo > /proc/sys/kernel/modprobe; rmmod vsockmon",
          "protection", ["modules on demand", "user namespace: vsockmon"]),
    Break(f"for d in /usr/sbin /var/tmp; do {IN_INIT} mount --bind /run/capsem/root$d $d; done",
          f"{IN_INIT} umount /usr/sbin /var/tmp", "protection", ["helper of request_key"]),
    Break("true; nnp='setpriv --no-new-privs'", "nnp=", "protection", ["no_new_privs"]),
    Break("modprobe vsockmon", "rmmod vsockmon", "protection", ["user namespace: vsockmon"]),
    # Binaries: the gate names the entry.
    Break("mount --bind /bin/true /capsem/bin/snapshots", "umount /capsem/bin/snapshots", "binaries",
          ["snapshots"]),
    Break("mount --bind /capsem/bin/snapshots /capsem/bin/capsem-sysutil", "umount /capsem/bin/capsem-sysutil",
          "binaries", ["capsem-sysutil"]),
    Break("mount -t tmpfs t /capsem/diagnostics", "umount /capsem/diagnostics", "binaries", ["diagnostics"]),
    Break("mount -o remount,rw /capsem; chmod 0755 /capsem/bin/snapshots",
          "chmod 0555 /capsem/bin/snapshots; mount -o remount,ro /capsem", "binaries",
          ["capsem-pty-agent", "capsem-transfer", "capsem-net-proxy", "capsem-mcp-server", "capsem-sysutil", "halt", "poweroff",
           "reboot", "shutdown", "suspend", "capsem-doctor", "snapshots"]),
    Break("mount -o remount,rw /capsem; chown 1 /capsem/diagnostics/conftest.py",
          "chown 0 /capsem/diagnostics/conftest.py; mount -o remount,ro /capsem", "binaries", ["diagnostics"]),
    Break("mount -o remount,rw /capsem; cp -p /capsem/diagnostics/conftest.py /tmp/c; "
          "echo '#' >> /capsem/diagnostics/conftest.py",
          "cat /tmp/c > /capsem/diagnostics/conftest.py; mount -o remount,ro /capsem", "binaries",
          ["diagnostics"]),
    Break("mount -o remount,rw /capsem; touch /capsem/bin/ls", "rm /capsem/bin/ls; mount -o remount,ro /capsem",
          "binaries", ["nothing else"]),
    # The other groups.
    Break("mount --bind /dev/null /proc/modules", "umount /proc/modules", "boot", ["modules"]),
    Break("mount --bind /dev/null /capsem/deployed", "umount /capsem/deployed", "boot", ["deployment"]),
    Break("p=$(cat /proc/sys/kernel/panic); echo 0 > /proc/sys/kernel/panic",
          "echo $p > /proc/sys/kernel/panic", "boot", ["panic"]),
    Break("umount -l /dev/shm", "mount -t tmpfs -o nosuid,nodev,mode=1777 t /dev/shm", "mounts", ["/dev/shm"]),
    Break("mount -o remount,bind,ro /", "mount -o remount,bind,rw /", "mounts", ["/"]),
    Break("mv /dev/full /dev/empty", "mv /dev/empty /dev/full", "mounts", ["devices"]),
    Break("mount --bind /dev/null /dev/ptmx", "umount /dev/ptmx", "mounts", ["pseudo-terminals"]),
    Break("modprobe dummy; ip link add d0 type dummy", "rmmod dummy", "network", ["interfaces"]),
    Break("ip link set lo down", f"ip link set lo up; {ROUTES}", "network",
          [*TCP, "UDP, IPv6", "ICMPv6", "raw, IPv6", "AF_PACKET", *LOOPBACK]),
    Break("ip route add 192.0.2.0/24 dev lo; ip route add 224.0.0.0/4 dev lo; ip -6 route add 2001:db8::/32 dev lo",
          "ip route del 192.0.2.0/24 dev lo; ip route del 224.0.0.0/4 dev lo; ip -6 route del 2001:db8::/32 dev lo",
          "network", ["routes", *NOT_CARRIED]),
    Break("ip rule del priority 100; ip -6 rule del priority 100",
          "ip rule add priority 100 ipproto tcp table 100; ip -6 rule add priority 100 ipproto tcp table 100",
          "network", TCP),
    Break("ip rule del priority 101",
          "ip rule add priority 101 ipproto udp dport 53 table 100", "dns", ["a name that no rule allows"]),
    Break("kill -STOP $(pgrep -x capsem-net-prox)", "kill -CONT $(pgrep -x capsem-net-prox)", "network", TCP),
    Break("pkill -STOP -x capsem-net-prox", "pkill -CONT -x capsem-net-prox", "dns", ["a name that no rule allows"]),
    Break("echo '(none)' > /proc/sys/kernel/hostname", "hostname capsem", "control", ["host name"]),
    Break("mount --bind /bin/true /capsem/bin/capsem-mcp-server", "umount /capsem/bin/capsem-mcp-server", "mcp",
          ["initialize", "tools/list"]),
    Break("mount --bind /bin/true /capsem/bin/capsem-sysutil", "umount /capsem/bin/capsem-sysutil", "lifecycle",
          ["capsem-sysutil: wrong usage", "suspend"]),
    Break("mount --bind /bin/false /capsem/bin/capsem-sysutil", "umount /capsem/bin/capsem-sysutil", "lifecycle",
          ["capsem-sysutil", "capsem-sysutil: wrong usage", "capsem-sysutil show"]),
    Break("mount --bind /bin/false /capsem/bin/snapshots", "umount /capsem/bin/snapshots", "snapshots",
          ["snapshots"]),
    Break("date -s 2001-01-01", "hwclock -s || date -s 2026-01-01", "clock", ["time of day"]),
    Break("mount --bind /dev/zero /dev/urandom", "umount /dev/urandom", "entropy", ["/dev/urandom"]),
    Break("sysctl -qw net.ipv4.ip_forward=1 kernel.dmesg_restrict=0 kernel.randomize_va_space=0",
          "sysctl -qw net.ipv4.ip_forward=0 kernel.dmesg_restrict=1 kernel.randomize_va_space=2", "kernel",
          ["net/ipv4/ip_forward", "kernel/randomize_va_space", "kernel/dmesg_restrict"]),
    Break("echo '|/bin/true' > /proc/sys/kernel/core_pattern", "echo core > /proc/sys/kernel/core_pattern",
          "kernel", ["kernel/core_pattern"]),
    Break("echo 1 > /proc/sys/kernel/tainted", "true", "boot", ["kernel's taint"]),
]  # fmt: skip

OF_ORDINARY = [
    Break("export LANG=C", "export LANG=C.UTF-8", "sessions", ["language"]),
    Break("export HOME=/nonexistent", "export HOME=/root", "sessions", ["HOME"]),
    Break("p=$PATH; export PATH=/usr/bin:/bin", "export PATH=$p", "sessions", ["PATH"]),
    Break("ulimit -Sn 512", "ulimit -Sn 1024", "limits", ["open files"]),
    Break("ulimit -Sf 100", "ulimit -Sf unlimited", "limits", ["file size"]),
    Break("cp /etc/resolv.conf /tmp; echo nameserver 192.0.2.1 > /etc/resolv.conf",
          "cp /tmp/resolv.conf /etc", "dns", ["resolver"]),
    Break("sh -c 'sleep 0 & exec sleep 1000' & until ps -e -o stat= | grep -q Z; do :; done", "kill $!",
          "processes", ["zombies"]),
]  # fmt: skip


def failures_of(capsem: Capsem, words: list[str], breaks: list[Break]) -> list[list[str]]:
    """Breaks one thing after the other in one VM; the checks that fail while it is broken."""
    script = "nnp=; " + " ".join(
        f"{{ {row.how}; }} > /dev/null\n echo @; $nnp /capsem/bin/capsem-doctor --json --only {row.group}\n"
        f"{{ {row.mend}; }} > /dev/null\n"
        for row in breaks
    )
    result = capsem.run(*words, script, timeout=2 * LIMIT_S)
    reports = result.stdout.decode().split("@\n")[1:]
    assert len(reports) == len(breaks), result.stderr.decode()
    return [Report(json.loads(text)).names("fail") for text in reports]


@pytest.mark.parametrize("words, breaks", [(["--privileged"], OF_PRIVILEGED), ([], OF_ORDINARY)])
def test_what_is_broken_is_found_and_named(
    capsem: Capsem, privileged: Report, words: list[str], breaks: list[Break]
) -> None:
    # By group as well: "reboot" is an attack and a program.
    failing = {key for key, check in privileged.checks.items() if check["verdict"] == "fail"} if words else set()
    found = {
        row.how: [name for name in failed if (row.group, name) not in failing]
        for row, failed in zip(breaks, failures_of(capsem, words, breaks), strict=True)
    }
    assert found == {row.how: row.names for row in breaks}


def test_every_attack_is_seen_to_succeed_or_impossible(ordinary: Report) -> None:
    attacks = {check["name"] for check in ordinary.data["checks"] if check["group"] == "protection"}
    taken_away = {name for row in OF_PRIVILEGED if row.group == "protection" for name in row.names}
    assert attacks == {*OPEN_TO_PRIVILEGED, *HELD_BY_THE_KERNEL, *taken_away}


def test_an_entry_that_is_nowhere_fails(checkout: Checkout) -> None:
    checkout.edit(
        "guest.toml",
        lambda text: text
        + '\n[[entry]]\nname = "ghost"\nfile = "guest/diagnostics"\npath = "/capsem/ghost"\n'
        + 'mode = "0444"\ninto = ["rootfs"]\n',
    )
    report = report_of(checkout.run("capsem-doctor --json --only binaries"))
    assert report.names("fail") == ["ghost"]
    assert report.checks["binaries", "ghost"]["seen"] == "neither the initrd nor the rootfs had a good copy of it"


# --- diagnostics ---


def only_diagnostics(capsem: Capsem, before: str) -> Report:
    """The doctor's report of other diagnostics than those of this guest."""
    return report_of(
        capsem.run(
            "--privileged",
            "mkdir /tmp/d; cp /capsem/diagnostics/*.* /tmp/d; rm /tmp/d/test_*; cd /tmp/d; "
            f"{before}; cd /; mount --bind /tmp/d /capsem/diagnostics; "
            "capsem-doctor --json --only diagnostics",
        )
    )


def test_each_test_is_a_check_of_the_report(capsem: Capsem) -> None:
    report = only_diagnostics(
        capsem,
        "printf 'import pytest, os\\ndef test_a(): pass\\ndef test_b(): assert 1 == 2\\n"
        "def test_c(): pytest.skip(\"not here\")\\n' > test_x.py",
    )
    checks = {name: (c["verdict"], c["seen"]) for (_, name), c in report.checks.items()}
    assert checks["test_x.py::test_a"] == ("pass", "passed")
    assert checks["test_x.py::test_b"][0] == "fail" and "1 == 2" in checks["test_x.py::test_b"][1]
    assert checks["test_x.py::test_c"] == ("skip", "not here")
    assert checks["the run"] == ("pass", "3 tests, 1 failed")


@pytest.mark.parametrize(
    "content, seen",
    [
        ("import nothing_of_this_name", "a file of tests could not be read"),
        ("import os\ndef test_a(): pass\ndef test_b(): os.kill(os.getpid(), 9)", "signal 9"),
        ("", "it found no tests"),
    ],
)
def test_a_run_that_dies_is_a_failed_check(capsem: Capsem, content: str, seen: str) -> None:
    text = content.replace("\n", "\\n")
    report = only_diagnostics(capsem, f"printf '{text}\\n' > test_x.py")
    assert report.checks["diagnostics", "the run"]["verdict"] == "fail"
    assert seen in report.checks["diagnostics", "the run"]["seen"]


def test_without_python_diagnostics_are_skipped_and_why_is_said(capsem: Capsem) -> None:
    result = capsem.run("PATH=/nowhere /capsem/bin/capsem-doctor --json --only diagnostics")
    assert result.returncode == 0
    check = report_of(result).checks["diagnostics", "the run"]
    assert (check["verdict"], check["seen"]) == ("skip", "python3 is not installed")
