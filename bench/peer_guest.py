"""The peer of a VM of capsem: the same machine, kernel and rootfs, with a network card and sshd.

The card is QEMU's user network, whose one way in is a port of the loopback interface.
"""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

# What the two machines have in common, read from the QEMU of capsem's.
SAME_OPTIONS = ("-machine", "-bios", "-accel", "-cpu", "-smp", "-object", "-append")
BOOT_LIMIT_S = 60

# The image's own programs, until the rootfs is there.
INITRD_PROGRAMS = ("dash", "cat", "cp", "mkdir", "mount", "kmod", "switch_root")

# In memory, like what sessions write: the same share of it as in a VM of capsem (init/mounts.cc).
INIT = """#!/bin/dash
export PATH=/bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
mount -t sysfs sys /sys
mount -t tmpfs run /run
for module in $(cat /lib/modules/capsem/modules.load); do
  insmod "/lib/modules/capsem/$module"
done
mount -t squashfs -o ro /dev/vda /lower
mount -t tmpfs -o size=33% store /store
mkdir /store/upper /store/work
mount -t overlay -o lowerdir=/lower,upperdir=/store/upper,workdir=/store/work overlay /root
cp -r /peer /root/peer
exec switch_root /root /peer/start
"""

# Debian's bash reads .bashrc when sshd started it, which is no part of what is compared.
START = """#!/bin/bash
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mkdir -p /dev/pts
mount -t devpts devpts /dev/pts
modprobe virtio_net
ip link set lo up
ip addr add 10.0.2.15/24 dev eth0
ip link set eth0 up
rm -f /root/.bashrc /root/.profile
mkdir -m 700 -p /root/.ssh
cp /peer/authorized_keys /root/.ssh/
chmod 600 /root/.ssh/authorized_keys
chown -R 0:0 /root /peer
chmod 700 /root
mkdir -p /run/sshd
grep -q ^sshd: /etc/passwd || echo 'sshd:x:990:990::/run/sshd:/usr/sbin/nologin' >>/etc/passwd
chmod 600 /peer/host_key
LD_LIBRARY_PATH=/peer/lib exec /peer/sshd -D -e -f /peer/sshd_config
"""

# What takes sshd's time without being part of a command or a copy is off.
SSHD_CONFIG = """HostKey /peer/host_key
MaxSessions 200
PasswordAuthentication no
PermitRootLogin yes
PrintLastLog no
PrintMotd no
UseDNS no
UsePAM no
"""


def program(name: str) -> Path:
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if found is None:
        raise RuntimeError(f"{name} is not installed")
    return Path(found)


def libraries(path: Path, more: Path | None = None) -> list[Path]:
    """What it needs to run, some of which may lie in a directory of its own."""
    env = {**os.environ, "LD_LIBRARY_PATH": str(more)} if more else None
    listed = subprocess.run(["ldd", path], check=True, capture_output=True, text=True, env=env).stdout
    if "not found" in listed:
        raise RuntimeError(f"{path} needs libraries that are not installed:\n{listed}")
    words = (word for line in listed.splitlines() for word in line.split() if word.startswith("/"))
    return [Path(word) for word in words]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_keys(directory: Path) -> None:
    """The host's and the user's, both for this one run."""
    for name in ("key", "host_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", directory / name], check=True)
    public = (directory / "host_key.pub").read_text()
    (directory / "known_hosts").write_text("peer " + " ".join(public.split()[:2]) + "\n")


def make_initrd(directory: Path, modules: Path, packages: Path) -> Path:
    """The modules that capsem's own initrd has, and behind them an init of shell commands."""
    tree = directory / "tree"
    for name in ("bin", "dev", "lower", "store", "proc", "root", "run", "sys", "peer/lib"):
        (tree / name).mkdir(parents=True)
    for name in INITRD_PROGRAMS:
        path = program(name)
        shutil.copy(path, tree / "bin" / name)
        for library in libraries(path):
            (tree / library.parent.relative_to("/")).mkdir(parents=True, exist_ok=True)
            shutil.copy(library, tree / library.relative_to("/"))
    (tree / "bin/insmod").symlink_to("kmod")
    sshd = packages / "usr/sbin/sshd"
    shutil.copy(sshd, tree / "peer/sshd")
    for library in libraries(sshd, packages / "usr/lib/x86_64-linux-gnu"):
        if not library.name.startswith(("libc.", "ld-")):
            shutil.copy(library, tree / "peer/lib")
    shutil.copy(directory / "host_key", tree / "peer/host_key")
    shutil.copy(directory / "key.pub", tree / "peer/authorized_keys")
    for name, text in (("init", INIT), ("peer/start", START), ("peer/sshd_config", SSHD_CONFIG)):
        path = tree / name
        path.write_text(text)
        path.chmod(0o755)
    names = subprocess.run(["find", ".", "-print0"], cwd=tree, check=True, capture_output=True).stdout
    archive = subprocess.run(
        ["cpio", "--null", "--quiet", "-o", "-H", "newc", "-R", "0:0"],
        cwd=tree, check=True, input=names, capture_output=True,
    ).stdout  # fmt: skip
    image = directory / "initrd.img"
    padding = -modules.stat().st_size % 4
    image.write_bytes(modules.read_bytes() + b"\0" * padding + archive)
    return image


class PeerGuest:
    """A guest that answers ssh; boots when made, with one connection that all others share."""

    def __init__(self, machine: list[str], assets: Path, packages: Path, directory: Path) -> None:
        self.directory = directory
        directory.mkdir()
        make_keys(directory)
        initrd = make_initrd(directory, assets / "modules.img", packages.resolve())
        port = free_port()
        same = [word for option, value in zip(machine, machine[1:]) if option in SAME_OPTIONS for word in (option, value)]
        self.console = directory / "console"
        self.qemu = subprocess.Popen(
            [
                machine[0], "-nodefaults", "-no-user-config", "-display", "none", *same,
                "-kernel", assets / "vmlinux", "-initrd", initrd,
                "-drive", f"file={assets / 'rootfs.squashfs'},format=raw,if=virtio,readonly=on",
                "-netdev", f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:22",
                "-device", "virtio-net-pci,netdev=net,romfile=",
                "-serial", f"file:{self.console}", "-no-reboot",
            ],
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        config = {
            "ControlPath": directory / "control", "HostKeyAlias": "peer", "HostName": "127.0.0.1",
            "IdentityFile": directory / "key", "IdentitiesOnly": "yes", "Port": port, "User": "root",
            "UserKnownHostsFile": directory / "known_hosts", "BatchMode": "yes", "LogLevel": "ERROR",
        }  # fmt: skip
        (directory / "config").write_text("Host peer\n" + "".join(f"{k} {v}\n" for k, v in config.items()))
        self.master: subprocess.Popen[bytes] | None = None
        try:
            self._connect()
        except BaseException:
            self.close()
            raise

    def ssh(self, *words: str) -> list[str]:
        return ["ssh", "-F", str(self.directory / "config"), *words]

    def scp(self, *words: str) -> list[str]:
        """By the protocol of scp itself, which the rootfs has the other end of."""
        return ["scp", "-O", "-q", "-F", str(self.directory / "config"), *words]

    def _connect(self) -> None:
        end = time.monotonic() + BOOT_LIMIT_S
        while time.monotonic() < end and self.qemu.poll() is None:
            tried = subprocess.run(self.ssh("-o", "ConnectTimeout=5", "peer", "true"), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if tried.returncode == 0:
                break
            time.sleep(0.2)
        else:
            raise RuntimeError("the peer did not boot; its console ends so:\n" + self.console.read_text(errors="replace")[-2000:])
        self.master = subprocess.Popen(self.ssh("-M", "-N", "peer"), stdin=subprocess.DEVNULL)
        while not (self.directory / "control").exists():
            if self.master.poll() is not None or time.monotonic() > end:
                raise RuntimeError("ssh opened no connection for others to share")
            time.sleep(0.05)

    def close(self) -> None:
        for process in (self.master, self.qemu):
            if process is not None:
                process.terminate()
                process.wait()
