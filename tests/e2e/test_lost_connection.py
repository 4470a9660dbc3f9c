"""A connection that breaks off: the guest's vsock driver is taken away and put back."""

import os
import subprocess
import tty

from conftest import LIMIT_S, Capsem

# Counts until the driver is back, so that some of it is on its way whenever the connection breaks.
COUNT = """
driver=/sys/bus/virtio/drivers/vmw_vsock_virtio_transport
device=$(basename $(ls -d $driver/virtio*))
(sleep 1; echo $device > $driver/unbind; sleep 0.5; echo $device > $driver/bind; sleep 0.5; touch /tmp/back) &
until [ -e /tmp/back ]; do echo $((i += 1)); done
echo last $i
exit 7
"""


def test_a_session_on_a_terminal_goes_on_and_loses_nothing(capsem: Capsem) -> None:
    master, slave = os.openpty()
    tty.setraw(slave)
    process = subprocess.Popen(
        capsem.command("run", "--accel", "tcg", "--privileged", COUNT),
        stdin=slave, stdout=slave, stderr=subprocess.DEVNULL, env=capsem.env(),
    )
    os.close(slave)
    output = b""
    while piece := read(master):
        output += piece
    assert process.wait(LIMIT_S) == 7
    *counted, last = output.decode().split("\r\n")[:-1]
    assert counted == [str(i + 1) for i in range(len(counted))]
    assert last == f"last {len(counted)}" and len(counted) > 100


def read(master: int) -> bytes:
    try:
        return os.read(master, 65536)
    except OSError:  # how a terminal ends
        return b""


def test_a_session_on_pipes_ends_in_words(capsem: Capsem) -> None:
    result = capsem.run("--privileged", COUNT)
    assert result.returncode == 125
    *_, line = result.stderr.decode().splitlines()
    assert line.startswith("capsem: cannot follow the session: ")
