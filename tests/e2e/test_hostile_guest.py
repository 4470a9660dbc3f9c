"""A guest that floods the host with connections: it takes a bounded part of the monitor's memory, and hinders no
session."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Capsem, registry_in
from named_vms import monitor

# By port, and whether they come from ports that the guest's kernel gives to root only: those of 5004 are taken,
# which costs the guest more time.
FLOODS = [(5000, [], 100_000), (5004, [], 100_000), (5004, ["reserved"], 5_000)]
# What docs/security.md promises.
MOST_GROWN_BYTES = 4 << 20
# Of a command in a guest whose one processor, emulated, the flood has too.
MOST_SECONDS = 10

# Connects again and again, keeps what was accepted last, writes all it can into it, and never reads.
FLOOD = r"""
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char** argv) {
  struct sockaddr_vm host = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST, .svm_port = atoi(argv[1])};
  static char junk[1 << 20];
  static int kept[256];
  long count = atol(argv[2]), accepted = 0, refused = 0;
  for (long i = 0; i < count; ++i) {
    int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
    struct sockaddr_vm own = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = 1 + i % 1023};
    if (argc > 3 && bind(fd, (struct sockaddr*)&own, sizeof own) != 0 && errno != EADDRINUSE) return 2;
    if (connect(fd, (struct sockaddr*)&host, sizeof host) != 0) {
      if (errno != ECONNRESET && errno != ECONNREFUSED) return perror("connect"), 3;
      ++refused;
      close(fd);
      continue;
    }
    if (kept[accepted % 256] != 0) close(kept[accepted % 256]);
    kept[accepted++ % 256] = fd;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    while (write(fd, junk, sizeof junk) > 0) {
    }
  }
  printf("%ld %ld\n", accepted, refused);
  return 0;
}
"""


@pytest.fixture(scope="module")
def vm(capsem: Capsem, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Capsem]:
    """A running VM called "one", whose sessions are root of the whole guest; the flood is in /root."""
    top = tmp_path_factory.mktemp("hostile")
    mine = Capsem(capsem.executable, registry_in(top))
    (top / "flood.c").write_text(FLOOD)
    subprocess.run(["gcc", "-O2", "-static", "-o", top / "flood", top / "flood.c"], check=True)
    assert mine.run("--privileged", "--name", "one", "true").returncode == 0
    assert mine.call("cp", str(top / "flood"), "one:/root/flood").returncode == 0
    yield mine
    mine.call("rm", "--force", "one")


def resident_bytes(pid: int) -> int:
    """Its own pages: those of the guest's memory are the guest's."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) << 10
    raise AssertionError("no RssAnon")


@pytest.mark.parametrize(("port", "source", "count"), FLOODS)
def test_a_flood_of_connections_is_bounded_and_stalls_nobody(
    vm: Capsem, port: int, source: list[str], count: int
) -> None:
    assert vm.call("exec", "one", "true").returncode == 0
    pid = monitor(vm)
    before = most = resident_bytes(pid)
    flood = subprocess.Popen(
        vm.command("exec", "--privileged", "one", "/root/flood", str(port), str(count), *source),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=vm.env(),
    )  # fmt: skip
    took = []
    begin = time.monotonic()
    while flood.poll() is None:
        assert time.monotonic() - begin < 300
        start = time.monotonic()
        assert vm.call("exec", "one", "true").returncode == 0
        took.append(time.monotonic() - start)
        most = max(most, resident_bytes(pid))
        time.sleep(0.1)
    output, errors = flood.communicate()
    assert flood.returncode == 0, errors
    accepted, refused = map(int, output.split())
    assert accepted + refused == count
    assert most - before <= MOST_GROWN_BYTES
    assert max(took) < MOST_SECONDS
