"""capsem deploy: changed entries of guest.toml in a VM that runs."""

import hashlib
import json
import re
import shlex
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Checkout, registry_in, the_error
from processes import wait_until
from test_terminal import Screen

VM = "one"
TOOL = "snapshots"
AGENT = "capsem-pty-agent"


class Deploying(Checkout):
    """A checkout with a VM that was booted from it."""

    def change_data(self, text: str) -> None:
        (self.source / "guest/diagnostics/deployed.txt").write_text(text)

    def replace_program(self, name: str, content: bytes) -> None:
        """The one program alone, of those that are names of one file."""
        path = self.build / "guest" / name
        path.unlink()
        path.write_bytes(content)
        path.chmod(0o755)

    def change_program(self, name: str, mark: bytes = b"changed") -> None:
        """The same program in a file with another hash: the kernel does not look behind an ELF's end."""
        self.replace_program(name, (self.build / "guest" / name).read_bytes() + mark)

    def deploy(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        return self.call("deploy", *words)

    def report(self) -> dict[str, object]:
        result = self.deploy("--json", VM)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    def said(self, *words: str) -> str:
        result = self.call("exec", VM, *words)
        assert result.returncode == 0, result.stderr
        return result.stdout.decode()

    def pid(self, name: str) -> int:
        return int(self.call("exec", "--privileged", VM, f"pgrep -P 1 -f {name}").stdout)


@pytest.fixture
def vm(checkout: Checkout, tmp_path: Path) -> Iterator[Deploying]:
    environment = {**checkout.environment, **registry_in(tmp_path)}
    mine = Deploying(checkout.executable, environment, source=checkout.source, build=checkout.build)
    assert mine.run("--name", VM, "true").returncode == 0
    yield mine
    mine.call("rm", "--force", VM)


def init_as_tool(vm: Deploying) -> bytes:
    """A program that says something else than the tool does."""
    return (vm.build / "guest/capsem-init").read_bytes()


INIT_SAYS = "capsem-init is PID 1 of a capsem guest"


def test_a_changed_program_and_file_are_there_for_new_and_running_sessions(vm: Deploying) -> None:
    with subprocess.Popen(
        vm.command("exec", VM, f"while read -r word; do {TOOL} list; cat /capsem/diagnostics/deployed.txt; done"),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=vm.env(), bufsize=0,
    ) as session:
        assert session.stdin and session.stdout

        def ask() -> str:
            session.stdin.write(b"now\n")
            return (session.stdout.readline() + session.stdout.readline()).decode()

        assert "there are no snapshots" in ask()
        vm.replace_program(TOOL, init_as_tool(vm))
        vm.change_data("fresh\n")
        result = vm.deploy(VM, f"{TOOL} 2>&1; cat /capsem/diagnostics/deployed.txt")
        assert result.returncode == 0, result.stderr
        assert INIT_SAYS in result.stdout.decode() and result.stdout.endswith(b"fresh\n")
        assert result.stderr.decode().splitlines() == [f"capsem: deployed {TOOL}, diagnostics"]
        answer = ask()
        assert INIT_SAYS in answer and answer.endswith("fresh\n")
        session.stdin.close()
        assert session.wait(timeout=30) == 0
    # The records are those of the new set.
    assert vm.said("cd / && sha256sum --quiet --check /capsem/SHA256SUMS && echo fine") == "fine\n"
    assert vm.said("stat -c '%a %U' /capsem/diagnostics/deployed.txt /capsem/bin/snapshots").split() == [
        "444", "root", "555", "root",
    ]
    # Another deploy, and one that takes back.
    vm.change_data("fresher\n")
    assert vm.report()["changed"] == ["diagnostics"]
    (vm.source / "guest/diagnostics/deployed.txt").unlink()
    assert vm.deploy(VM, "test ! -e /capsem/diagnostics/deployed.txt").returncode == 0


def test_the_hashes_that_inspect_shows_are_those_of_the_last_deploy(vm: Deploying) -> None:
    vm.change_program(TOOL)
    wanted = hashlib.sha256((vm.build / "guest" / TOOL).read_bytes()).hexdigest()
    assert vm.deploy(VM).returncode == 0

    def is_shown() -> bool:
        guest = json.loads(vm.call("inspect", VM).stdout)["vm"]["guest"]
        return {"name": TOOL, "origin": "initrd", "sha256": wanted} in guest["entries"]

    wait_until(is_shown)  # PID 1 says it on a connection of its own


def test_nothing_changed_is_said_and_touches_nothing(vm: Deploying) -> None:
    device = vm.said("stat -c %d /capsem")
    result = vm.deploy(VM)
    assert (result.returncode, result.stdout) == (0, b"nothing has changed of what can be deployed\n")
    assert vm.report()["changed"] == []
    assert vm.said("stat -c %d /capsem") == device
    assert "init: deploy:" not in vm.call("logs", VM).stdout.decode()
    assert vm.deploy(VM, "exit 7").returncode == 7


def test_services_follow_and_sessions_go_on(vm: Deploying, request: pytest.FixtureRequest) -> None:
    agent, proxy = vm.pid(AGENT), vm.pid("capsem-net-proxy")
    screen = Screen(f"capsem-{request.node.name}")
    try:
        screen.wait_for("host>")
        settings = " ".join(f"{name}={shlex.quote(value)}" for name, value in vm.environment.items())
        screen.type(f"export {settings} PATH={vm.executable.parent}:$PATH; clear", "Enter")
        screen.type(f"clear; capsem exec {VM} 'echo up; read a; echo got $a; exit 9'; echo ended $?", "Enter")
        screen.wait_for("up")
        vm.change_program(AGENT)
        vm.change_program("capsem-net-proxy")
        report = vm.report()
        # The agent executes its new program itself, so that what it knows of sessions stays.
        assert report["restarted"] == [
            {"name": AGENT, "pid": agent},
            {"name": "capsem-net-proxy", "pid": vm.pid("capsem-net-proxy")},
        ]
        assert vm.pid("capsem-net-proxy") != proxy
        executed = f"cmp /proc/{agent}/exe /capsem/bin/{AGENT} && echo same"
        assert vm.call("exec", "--privileged", VM, executed).stdout == b"same\n"
        # The session is listed, left by its keys, and attached to by way of the new agent.
        screen.type("C-p", "C-q")
        screen.wait_for("ended 0")
        assert len(vm.call("attach", "--list", VM).stdout.splitlines()) == 2
        screen.type(f"clear; capsem attach {VM}; echo ended $?", "Enter")
        screen.wait_for("up")
        screen.type("word", "Enter")
        screen.wait_for("got word")
        screen.wait_for("ended 9")
    finally:
        subprocess.run(["tmux", "-L", screen.socket, "kill-server"], check=False, stderr=subprocess.DEVNULL)
    # Once more by the same process, and the end of sessions still reaches it.
    vm.change_program(AGENT, b"again")
    assert vm.report()["restarted"] == [{"name": AGENT, "pid": agent}]
    assert vm.said("echo well") == "well\n"
    assert vm.call("exec", VM, "poweroff").returncode == 125
    wait_until(lambda: json.loads(vm.call("ps", "--all", "--json").stdout)[0]["state"] == "stopped", 20)


def test_root_cannot_change_what_was_deployed(vm: Deploying) -> None:
    vm.change_program(TOOL)
    assert vm.report()["changed"] == [TOOL]
    for attack in ("touch /capsem/x", f"rm -f /capsem/bin/{TOOL}", f": > /capsem/bin/{TOOL}",
                   "mount -o remount,rw /capsem", "umount /capsem", "mount -t tmpfs x /capsem"):
        assert vm.call("exec", VM, attack).returncode != 0, attack
    # Neither through the mount nor in its file system, also for who may mount.
    assert vm.call("exec", "--privileged", VM, "touch /capsem/x").returncode != 0
    mounts = vm.call("exec", "--privileged", VM, "cat /proc/1/mountinfo").stdout.decode()
    for path in ("/capsem", "/run/capsem/root/capsem"):
        lines = [line for line in mounts.splitlines() if line.split()[4] == path]
        # The base and one set: those before are gone.
        assert len(lines) == 2, mounts
        assert all(re.search(r" ro,.* - tmpfs capsem ro,", line) for line in lines), lines
    assert "/run/capsem/deploy" not in mounts


def test_the_doctor_passes_after_a_deploy(vm: Deploying) -> None:
    vm.change_data("x\n")
    vm.change_program(TOOL)
    vm.change_program(AGENT)
    assert vm.report()["changed"] == [AGENT, TOOL, "diagnostics"]
    groups = ("binaries", "protection", "mounts", "processes", "vsock", "control", "sessions", "deploy")
    words = [f"--only {group}" for group in groups]
    result = vm.call("exec", VM, f"capsem-doctor {' '.join(words)}")
    assert result.returncode == 0, result.stdout.decode()


def test_a_build_that_fails_changes_nothing(vm: Deploying) -> None:
    before = vm.said("cat /capsem/SHA256SUMS")
    vm.change_program(TOOL)
    (vm.build / "build.ninja").write_text("rule fail\n  command = echo broken; false\nbuild guest: fail\n")
    result = vm.deploy(VM, "echo not run")
    assert (result.returncode, result.stdout) == (125, b"")
    assert result.stderr.decode().splitlines()[-1].startswith("capsem: cannot build the guest programs")
    assert vm.said("cat /capsem/SHA256SUMS") == before


def test_the_init_is_for_the_next_boot(vm: Deploying) -> None:
    vm.change_program("capsem-init")
    result = vm.deploy(VM)
    assert result.returncode == 0
    assert result.stdout.decode().splitlines() == [
        "nothing has changed of what can be deployed", "at the next boot: capsem-init; 'capsem restart'",
    ]
    assert vm.report()["next_boot"] == ["capsem-init"]
    assert vm.call("restart", VM).returncode == 0
    assert vm.report()["next_boot"] == []


def test_entries_come_and_go_with_guest_toml(vm: Deploying) -> None:
    before = (vm.source / "guest.toml").read_text()
    (vm.source / "guest/note").write_text("a note\n")
    added = '\n[[entry]]\nname = "note"\nfile = "guest/note"\npath = "/capsem/note"\nmode = "0444"\ninto = ["initrd"]\n'
    vm.edit("guest.toml", lambda text: text + added)
    assert vm.deploy(VM, "cat /capsem/note").stdout == b"a note\n"
    # A program that becomes a service, and one no longer.
    service = f'path = "/capsem/bin/{TOOL}"\nmode = "0555"\nservice = {{ restart = false }}'
    vm.edit("guest.toml", lambda text: text.replace(f'path = "/capsem/bin/{TOOL}"\nmode = "0555"', service))
    report = vm.report()
    assert report["changed"] == [TOOL]
    (vm.source / "guest.toml").write_text(before)
    report = vm.report()
    assert report["removed"] == ["note"]
    assert vm.call("exec", VM, "test -e /capsem/note").returncode == 1
    # A port that PID 1 has.
    vm.edit("guest.toml", lambda text: text.replace("listen = [5001, 5005]", "listen = [5001, 5009]"))
    assert "is that of PID 1 itself" in the_error(vm.deploy(VM))


def frame(payload: bytes) -> bytes:
    return len(payload).to_bytes(4, "little") + payload


START = frame(b"\x0a\x02\x08\x06")  # DeployStart of protocol 6


def conversation(vm: Deploying) -> socket.socket:
    """A deploy of our own, up to what the guest says that it runs."""
    path = Path(vm.environment["XDG_RUNTIME_DIR"], f"capsem/vms/{VM}/monitor.sock")
    peer = socket.socket(socket.AF_UNIX)
    peer.settimeout(30)
    peer.connect(str(path))
    peer.sendall(
        b"POST /v1/deploy HTTP/1.1\r\nHost: capsem\r\nConnection: Upgrade\r\n"
        b"Upgrade: capsem-deploy\r\nContent-Length: 0\r\n\r\n"
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += peer.recv(1)
    assert head.startswith(b"HTTP/1.1 101 ")
    peer.sendall(START)
    return peer


def received(peer: socket.socket) -> bytes:
    size = b""
    while len(size) < 4:
        piece = peer.recv(4 - len(size))
        if not piece:
            return b""
        size += piece
    payload = b""
    while len(payload) < int.from_bytes(size, "little"):
        payload += peer.recv(65536)
    return payload


def test_one_deploy_at_a_time(vm: Deploying) -> None:
    vm.change_data("x\n")
    with conversation(vm) as first:
        assert b"capsem-entries" in received(first)
        result = vm.deploy(VM)
        assert result.returncode == 125
        assert the_error(result) == "capsem: cannot deploy to the guest: another deploy is under way"
    wait_until(lambda: vm.deploy(VM).returncode == 0, 20)
    assert vm.said("cat /capsem/diagnostics/deployed.txt") == "x\n"


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (frame(b"\x12\x04\x0a\x02x\n"), b"the first line is not"),
        (frame(b"\x12\x16\x0a\x12capsem-entries 2\nx\x12\x00"), b"does not describe an entry"),
        (frame(b"\x2a\x00"), b"the host did not send what the guest is to run"),
        (frame(b"\x7f"), b"cannot read a message"),
        (b"\xff\xff\xff\xff", b"over the limit"),
    ],
)
def test_what_is_no_deploy_is_refused_and_changes_nothing(vm: Deploying, sent: bytes, reason: bytes) -> None:
    before = vm.said("cat /capsem/SHA256SUMS")
    with conversation(vm) as peer:
        received(peer)
        peer.sendall(sent)
        assert reason in received(peer)
        assert received(peer) == b""
    assert vm.said("cat /capsem/SHA256SUMS") == before
    assert vm.deploy(VM).returncode == 0


def test_a_process_of_the_guest_cannot_deploy(vm: Deploying) -> None:
    script = """
import socket
own = socket.socket(socket.AF_VSOCK)
cids = {1, socket.VMADDR_CID_ANY}
try:
    import fcntl, struct
    with open("/dev/vsock") as device:
        cids.add(struct.unpack("I", fcntl.ioctl(device, 0x7b9, b"    "))[0])
except OSError:
    cids.update(range(3, 6))
for cid in cids:
    peer = socket.socket(socket.AF_VSOCK)
    peer.settimeout(5)
    try:
        peer.connect((cid, 5009))
        peer.sendall(bytes.fromhex("040000000a020805"))
        print("answered" if peer.recv(1) else "refused")
    except OSError:
        print("refused")
"""
    answers = vm.call("exec", VM, "python3 -", stdin=script.encode()).stdout.split()
    assert answers and set(answers) == {b"refused"}
    assert vm.call("exec", VM, "kill -9 1").returncode in (0, 1)
    assert vm.deploy(VM).returncode == 0


def test_a_vm_that_does_not_run_is_started_instead(vm: Deploying) -> None:
    taken = vm.run("--name", VM, "true")
    assert taken.returncode == 125 and "'capsem deploy' to bring changes into it" in the_error(taken)
    assert "none of that name" in the_error(vm.deploy("other"))
    vm.change_data("x\n")
    assert vm.call("stop", VM).returncode == 0
    result = vm.deploy(VM)
    assert result.returncode == 125
    assert "it is not running; 'capsem start one' brings all that has changed" in the_error(result)
    assert vm.call("start", VM).returncode == 0
    assert vm.said("cat /capsem/diagnostics/deployed.txt") == "x\n"
    shutil.rmtree(vm.build / "guest")
    assert vm.deploy(VM).returncode == 125
