"""git: everyday work on a repository, without a network."""

import shutil
from pathlib import Path

import pytest

from support import Shell

# Nothing of the user's or system's settings, and commits that come out the same each time.
SETTINGS = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@localhost",
    "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z",
    "GIT_COMMITTER_NAME": "C",
    "GIT_COMMITTER_EMAIL": "c@localhost",
    "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z",
}


@pytest.fixture(scope="module")
def template(scratch: Path) -> Path:
    """A repository with the commits "one" and "two" of the file f, on the branch main."""
    directory = scratch / "git" / "repository"
    directory.mkdir(parents=True)
    git = Shell(directory, SETTINGS)
    git("git init -q -b main --template= . && seq 9 >f && git add f && git commit -qm one && "
        "seq 10 >f && git commit -qam two")
    return directory


@pytest.fixture
def git(template: Path, tmp_path: Path) -> Shell:
    """A shell in a copy of the repository."""
    return Shell(Path(shutil.copytree(template, tmp_path / "repository")), SETTINGS)


def test_history(git: Shell) -> None:
    assert git("git log --format='%s %an %ad' --date=short") == "two A 2026-01-01\none A 2026-01-01\n"


def test_the_same_content_has_the_same_name_everywhere(git: Shell) -> None:
    assert git("git rev-parse HEAD:f") == "f00c965d8307308469e537302baa73048488f162\n"


def test_status_names_what_changed(git: Shell) -> None:
    line = "echo x >>f; touch 'größe'; git -c core.quotePath=false status --porcelain"
    assert git(line) == " M f\n?? größe\n"


def test_a_difference_applies_elsewhere(git: Shell) -> None:
    git("git diff HEAD~ >../change && git checkout -q HEAD~ && git apply ../change && git diff --exit-code main")


def test_clone_fetch_and_push(git: Shell) -> None:
    git("git clone -q --bare --template= . ../bare && git clone -q --template= ../bare ../clone")
    git("cd ../clone && seq 11 >f && git commit -qam three && git push -q")
    assert git("git pull -q ../bare main && git log -1 --format=%s") == "three\n"


def test_branches_merge(git: Shell) -> None:
    git("git switch -qc topic HEAD~ && echo new >g && git add g && git commit -qm topic")
    git("git switch -q main && git merge -q --no-edit topic")
    assert git("git ls-files; git log -1 --format=%p | wc -w; git branch --merged") == "f\ng\n2\n* main\n  topic\n"


def test_a_conflict_is_shown_and_resolved(git: Shell) -> None:
    git("git switch -qc topic HEAD~ && seq 8 >f && git commit -qam topic && git switch -q main")
    assert "CONFLICT (content)" in git("git merge topic", status=1)
    assert git("git status --porcelain; grep -c '^[<=>]\\{7\\}' f") == "UU f\n3\n"
    git("seq 8 >f && git add f && git commit -qm merged && git diff --exit-code topic")


def test_stash_puts_work_aside(git: Shell) -> None:
    git("seq 20 >f && git stash -q && git diff --exit-code")
    assert git("git stash list | wc -l; git stash pop -q; wc -l <f; git stash list") == "1\n20\n"


def test_rebase_moves_commits(git: Shell) -> None:
    git("git switch -qc topic HEAD~ && echo new >g && git add g && git commit -qm topic && git rebase -q main")
    assert git("git log --format=%s") == "topic\ntwo\none\n"


def test_cherry_pick_and_revert(git: Shell) -> None:
    git("git revert --no-edit HEAD >/dev/null && git diff --exit-code HEAD~2")
    git("git switch -qc topic HEAD~2 && git cherry-pick main~ >/dev/null && git diff --exit-code main~")


def test_reset_and_the_way_back(git: Shell) -> None:
    git("git reset -q --hard HEAD~ && test $(wc -l <f) = 9")
    git("git reset -q --hard 'HEAD@{1}' && test $(wc -l <f) = 10")


def test_tags_and_describe(git: Shell) -> None:
    assert git("git tag -a -m first v1 HEAD~ && git describe") .startswith("v1-1-g")


def test_blame_tells_who_wrote_a_line(git: Shell) -> None:
    assert git("git blame --line-porcelain f | sed -n 's/^summary //p' | uniq -c | tr -s ' '") == " 9 one\n 1 two\n"


def test_a_worktree_is_a_second_place_to_work(git: Shell) -> None:
    git("git worktree add -q ../second HEAD~ && cd ../second && seq 9 | cmp - f && git switch -qc other")
    assert git("git worktree list | wc -l") == "2\n"


def test_a_hook_refuses_a_commit(git: Shell) -> None:
    git("mkdir -p .git/hooks && printf '#!/bin/sh\\nexit 1\\n' >.git/hooks/pre-commit && chmod +x .git/hooks/pre-commit")
    git("git commit -q --allow-empty -m refused", status=1)


def test_ignored_files_stay_out(git: Shell) -> None:
    assert git("echo '*.o' >.gitignore; touch a.o b; git status --porcelain") == "?? .gitignore\n?? b\n"


def test_packing_loses_nothing_and_damage_is_noticed(git: Shell) -> None:
    git("git gc -q && git fsck --strict --no-progress")
    git("for p in .git/objects/pack/*.pack; do chmod u+w $p; printf X | dd of=$p bs=1 seek=60 conv=notrunc status=none; done")
    assert "error" in git("git fsck --no-progress 2>&1; test $? != 0")
