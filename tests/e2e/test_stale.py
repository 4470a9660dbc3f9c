"""What needs what: the rootfs is never rebuilt by itself, and never silently old."""

import subprocess

from conftest import BUILD, Checkout, SOURCE, error_lines


def test_a_changed_package_list_is_told_in_one_line_and_the_old_rootfs_boots(checkout: Checkout) -> None:
    assert error_lines(checkout.run("true")) == []
    checkout.edit("guest/config/packages.list", lambda text: text + "sl\n")
    result = checkout.run("echo up")
    assert result.stdout == b"up\n"
    lines = error_lines(result)
    assert len(lines) == 1
    assert "guest/config/packages.list" in lines[0] and "'./dev build-assets'" in lines[0]


def test_a_changed_diagnostics_file_needs_no_rootfs(checkout: Checkout) -> None:
    (checkout.source / "guest/diagnostics/test_new.py").write_text("def test_new() -> None: ...\n")
    result = checkout.run("ls /capsem/diagnostics")
    assert b"test_new.py" in result.stdout
    assert result.stderr == b""


def test_the_docs_table_is_the_one_of_guest_toml(checkout: Checkout) -> None:
    table = subprocess.run([BUILD / "bin/capsem", "loop"], capture_output=True, check=True).stdout.decode()
    assert table in (SOURCE / "docs/loop.md").read_text()
    assert "| `src/guest/doctor/` | `capsem run` or `capsem deploy NAME` |" in table
    assert "| `guest/config/packages.list` | `./dev build-assets` |" in table
