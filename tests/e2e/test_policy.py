"""capsem policy check: the answer, its exit status, and from where the rules come."""

from pathlib import Path

import pytest

from conftest import SOURCE, Capsem, the_error


@pytest.fixture
def tool(capsem: Capsem, tmp_path: Path) -> Capsem:
    return Capsem(capsem.executable, {**capsem.environment, "XDG_CONFIG_HOME": str(tmp_path / "config")})


def write_global(tmp_path: Path, text: str) -> None:
    (tmp_path / "config/capsem").mkdir(parents=True)
    (tmp_path / "config/capsem/policy.toml").write_text(text)


def lines(output: bytes) -> dict[str, str]:
    return dict(line.split(":", 1) for line in output.decode().split("\n\n")[0].splitlines())


def test_nothing_is_allowed_without_a_rule(tool: Capsem) -> None:
    result = tool.call("policy", "check", "https://example.com/")
    assert result.returncode == 1 and result.stderr == b""
    assert lines(result.stdout)["rule"].strip() == "no rule"


@pytest.mark.parametrize(
    ("words", "status", "rule"),
    [
        (["https://one.example/"], 0, "global"),
        (["--policy", "FILE", "https://one.example/"], 1, "file"),
        (["--policy", "FILE", "--allow", "one.example", "https://one.example/"], 0, "--allow one.example"),
        (["--deny", "one.example", "--allow", "one.example", "https://one.example/"], 1, "--deny one.example"),
        (["--policy", "FILE", "one.example:22"], 1, "file"),
        (["--allow", "one.example:22", "one.example:22"], 0, "--allow one.example:22"),
        (["https://api.example/x"], 1, "no rule"),
        (["--method", "PUT", "https://api.example/x"], 0, "put"),
        (["--process", "/usr/bin/git", "https://git.example/"], 0, "git"),
        (["https://git.example/"], 1, "no rule"),
        (["https://192.0.2.1/"], 1, "no rule"),
        (["--allow", "192.0.2.1", "https://192.0.2.1/"], 0, "--allow 192.0.2.1"),
        (["https://ONE.example./"], 0, "global"),
    ],
)
def test_the_nearest_rule_decides(
    tool: Capsem, tmp_path: Path, words: list[str], status: int, rule: str
) -> None:
    write_global(
        tmp_path,
        '[[rule]]\nname = "global"\naction = "allow"\nhost = "one.example"\n'
        '[[rule]]\nname = "put"\naction = "allow"\nhost = "api.example"\nmethod = "PUT"\n'
        '[[rule]]\nname = "git"\naction = "allow"\nhost = "git.example"\nprocess = "*/git"\n',
    )
    file = tmp_path / "own.toml"
    file.write_text('[[rule]]\nname = "file"\naction = "deny"\nhost = "*.example"\n')
    result = tool.call("policy", "check", *[str(file) if word == "FILE" else word for word in words])
    assert result.returncode == status, result
    assert lines(result.stdout)["rule"].strip() == rule


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["check"], "URL is required"),
        (["check", "https://127.1/"], "its last label is a number"),
        (["check", "https://user@example.com/"], "user's name"),
        (["check", "--allow", "https://x.example", "x.example"], "it is a URL"),
        (["check", "--deny", "x.example:1", "x.example"], "no host name"),
        (["check", "--method", "get", "https://x.example"], "capital letters"),
        (["check", "--policy", "/nowhere.toml", "x.example"], "/nowhere.toml: No such file"),
        (["frobnicate"], "cannot use VM 'frobnicate': there is none of that name"),
        ([], "is of which VM? Or use one of its subcommands"),
    ],
)
def test_bad_usage_is_status_2(tool: Capsem, words: list[str], said: str) -> None:
    result = tool.call("policy", *words)
    assert result.returncode == 2 and result.stdout == b""
    assert said in the_error(result)


def test_a_fault_of_a_file_has_its_line(tool: Capsem, tmp_path: Path) -> None:
    write_global(tmp_path, '# mine\n\n[[rule]]\naction = "allow"\nhost = "a.example"\nprot = 22\n')
    result = tool.call("policy", "check", "a.example")
    assert result.returncode == 2
    assert "capsem/policy.toml:6" in the_error(result) and "write 'port'" in the_error(result)


def test_what_is_said_to_allow_it_does(tool: Capsem, tmp_path: Path) -> None:
    write_global(tmp_path, '[[rule]]\naction = "deny"\nhost = "*"\n')
    for words in (["x.example:2222"], ["--method", "PUT", "https://x.example/a?b"], ["http://[fd00::1]:8080/"]):
        denied = tool.call("policy", "check", *words)
        assert denied.returncode == 1
        advice = denied.stdout.decode()
        rule = tmp_path / "rule.toml"
        rule.write_text(advice[advice.index("[[rule]]") :])
        assert tool.call("policy", "check", "--policy", str(rule), *words).returncode == 0
        option = advice.split("--allow ")[1].split()[0].rstrip(",")
        assert tool.call("policy", "check", "--allow", option, *words).returncode == 0


def test_the_policies_of_the_documentation_are_read(tool: Capsem, tmp_path: Path) -> None:
    blocks = (SOURCE / "docs/network.md").read_text().split("```toml\n")[1:]
    assert len(blocks) >= 2
    for block in blocks:
        file = tmp_path / "example.toml"
        file.write_text(block.split("```")[0])
        result = tool.call("policy", "check", "--policy", str(file), "https://nothing.example/")
        assert result.returncode == 1, result.stderr


def test_a_secret_is_named_with_its_source_and_not_its_value(tool: Capsem, tmp_path: Path) -> None:
    secret = '{ name = "A_KEY", header = "x-key", env = "HOME" }'
    write_global(tmp_path, f'[[rule]]\naction = "allow"\nhost = "one.example"\nsecret = {secret}\n')
    result = tool.call("policy", "check", "https://one.example/")
    assert lines(result.stdout)["secret"].strip() == "A_KEY in the header 'x-key', from the variable 'HOME'"
    assert tool.call("policy", "check", "http://one.example/").returncode == 1
