"""Tools for work on source code and data: make, jq, rsync, ripgrep, keys, node where it is."""

import json

import pytest

from support import Shell, needs

MAKEFILE = """
all: out
out: a.o b.o ; cat $^ >$@
%.o: %.c ; @echo made $@; cp $< $@
"""


def test_make_builds_what_is_stale(shell: Shell) -> None:
    (shell.directory / "Makefile").write_text(MAKEFILE)
    assert shell("echo a >a.c; echo b >b.c; make -s && cat out") == "made a.o\nmade b.o\na\nb\n"
    assert shell("make -s; touch -d '+1 minute' b.c; make -s") == "made b.o\n"


def test_make_in_parallel_stops_at_an_error(shell: Shell) -> None:
    (shell.directory / "Makefile").write_text("all: good bad\ngood: ; touch good\nbad: ; exit 3\n")
    assert "Error 3" in shell("make -j2 2>&1", status=2)


def test_jq_answers_questions(shell: Shell) -> None:
    data = json.dumps({"a": [{"b": 1}, {"b": 2}], "n": "größe"})
    query = '[.a[1].b, ([.a[] | select(.b > 1)] | length), (keys | join("+")), (.n | length)]'
    assert shell(f"jq -c '{query}'", stdin=data) == '[2,1,"a+n",5]\n'


def test_jq_refuses_what_is_no_json(shell: Shell) -> None:
    shell("jq . 2>/dev/null && exit 100 || exit 7", stdin='{"a": ', status=7)


def test_rsync_copies_changes_and_removes(shell: Shell) -> None:
    shell("mkdir -p a/d; echo 1 >a/f; echo 2 >a/d/g; ln -s f a/l; chmod 640 a/f; rsync -a --delete a/ b/")
    shell("diff -r --no-dereference a b && test $(stat -c %a b/f) = 640")
    shell("rm a/f; echo 33 >a/d/g; rsync -a --delete a/ b/; diff -r --no-dereference a b")


def test_ripgrep_searches_and_heeds_gitignore(shell: Shell) -> None:
    shell("mkdir -p .git d; echo needle >d/a.txt; echo needle >b.log; echo '*.log' >.gitignore")
    assert shell("rg -n needle .") == "./d/a.txt:1:needle\n"
    shell("rg absent .", status=1)


def test_tree_draws_directories(shell: Shell) -> None:
    assert shell("mkdir -p a/b; touch a/b/c; tree --noreport a") == "a\n└── b\n    └── c\n"


def test_file_recognises_content(shell: Shell) -> None:
    (shell.directory / "text").write_text("größe\n")
    program, text = shell("file -bL --mime /bin/bash text").splitlines()
    assert program.startswith("application/x-pie-executable") and text == "text/plain; charset=utf-8"


def test_openssl_makes_a_certificate_that_verifies(shell: Shell) -> None:
    shell("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=x -keyout k -out c 2>/dev/null")
    assert shell("openssl verify -CAfile c c") == "c: OK\n"


def test_ssh_keys_are_made_and_read_back(shell: Shell) -> None:
    shell("ssh-keygen -q -t ed25519 -N '' -C me -f k")
    assert shell("ssh-keygen -y -f k | cut -d' ' -f1,2; stat -c %a k") == shell("cut -d' ' -f1,2 k.pub; echo 600")


def test_node_runs_and_requires_a_module(shell: Shell) -> None:
    needs("node")
    (shell.directory / "answer.js").write_text("module.exports = 6 * 7;\n")
    assert shell("node -e 'console.log(require(\"./answer\"), \"grüße\".length)'") == "42 5\n"


def test_npm_installs_a_local_package(shell: Shell) -> None:
    needs("npm")
    (shell.directory / "dep").mkdir()
    (shell.directory / "dep/package.json").write_text('{"name": "dep", "version": "1.0.0", "main": "m.js"}')
    (shell.directory / "dep/m.js").write_text("module.exports = 42;\n")
    (shell.directory / "package.json").write_text('{"name": "top", "version": "1.0.0"}')
    shell("npm install --offline --no-audit --no-fund --silent --cache ./cache ./dep")
    assert shell("node -p 'require(\"dep\")'") == "42\n"
