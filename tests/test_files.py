"""Files are whole or not there, streams are written to as they are, and nothing is left behind."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from archc import files, locks
from archc.errors import OutputError
from archc.files import take_steps, write, write_all
from archc.streams import is_stream
from archc.temporaries import Batch, create, reclaim, temporary_for

LONG = "é" * 125 + "n.svg"
"""255 bytes of UTF-8, which are 130 characters."""


def archc(folder: Path, *arguments: str, **how: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        [sys.executable, "-m", "archc", *arguments],
        **{"cwd": folder, "stderr": subprocess.PIPE, "text": True, "timeout": 60, **how},
    )


EMIT = ("emit", "cifar10/resnet20", "-o")


# Streams


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("how", ["a", "w"])
def test_what_a_redirected_stream_held_stays(stream: str, how: str, tmp_path: Path) -> None:
    (tmp_path / "log").write_text("kept\n")
    with (tmp_path / "log").open(how) as log:
        log.write("before\n")
        log.flush()
        done = archc(tmp_path, *EMIT, f"/dev/{stream}", **{stream: log})
        assert done.returncode == 0
        log.write("after\n")
    text = (tmp_path / "log").read_text()
    assert text.startswith("kept\nbefore\n" if how == "a" else "before\n")
    assert "class ResNet20" in text
    assert text.endswith("after\n")
    assert os.listdir(tmp_path) == ["log"]


@pytest.mark.parametrize(
    "name", ["/dev/fd/{}", "/proc/self/fd/{}", "/proc/thread-self/fd/{}", "link"]
)
def test_a_descriptor_by_any_name(name: str, tmp_path: Path) -> None:
    (tmp_path / "log").write_text("kept\n")
    with (tmp_path / "log").open("a") as log:
        (tmp_path / "first").symlink_to(f"/dev/fd/{log.fileno()}")
        (tmp_path / "link").symlink_to("first")
        path = tmp_path / name.format(log.fileno())
        assert is_stream(path)
        write(path, b"more\n")
        write(path, b"and more\n")
    assert (tmp_path / "log").read_text() == "kept\nmore\nand more\n"
    assert sorted(os.listdir(tmp_path)) == ["first", "link", "log"]


def test_another_processs_descriptor_keeps_what_it_has_written(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("theirs\n")
    with (tmp_path / "log").open("a") as log:
        other = subprocess.Popen(["sleep", "60"], stdout=log)
    write(Path(f"/proc/{other.pid}/fd/1"), b"ours\n")
    other.kill()
    other.wait()
    assert (tmp_path / "log").read_text() == "theirs\nours\n"


def test_a_pipe_a_terminal_and_nothing_at_all(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    reader = subprocess.Popen(["cat", "pipe"], cwd=tmp_path, stdout=subprocess.PIPE)
    content = b"x" * 30_000
    write(tmp_path / "link", content)
    assert reader.communicate(timeout=30)[0] == content
    control, terminal = os.openpty()
    write(Path(os.ttyname(terminal)), b"hello\n")
    assert os.read(control, 100) == b"hello\r\n"
    os.close(control)
    os.close(terminal)
    write(Path("/dev/null"), content)
    assert sorted(os.listdir(tmp_path)) == ["link", "pipe"]
    assert (tmp_path / "pipe").is_fifo()


def test_a_pipe_that_does_not_wait_is_waited_for(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    got: list[bytes] = []
    content = b"x" * 300_000

    def read() -> None:
        while sum(map(len, got)) < len(content):
            got.append(os.read(reading, 10_000))

    reader = threading.Thread(target=read)
    reader.start()
    write(Path(f"/dev/fd/{writing}"), content)
    reader.join(30)
    os.close(reading)
    os.close(writing)
    assert b"".join(got) == content


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        yield path


def test_streams_that_take_nothing_say_why(tmp_path: Path, listener: Path) -> None:
    (tmp_path / "full").symlink_to("/dev/full")
    with pytest.raises(OutputError, match=r"full': no space left on device$"):
        write(tmp_path / "full", b"x")
    with pytest.raises(OutputError, match=r"socket': no such device or address$"):
        write(listener, b"x")
    reading, writing = os.pipe()
    with pytest.raises(OutputError, match=r"': it is open for reading only$"):
        write(Path(f"/dev/fd/{reading}"), b"x")
    os.close(reading)
    with pytest.raises(OutputError, match=r"': broken pipe$"):
        write(Path(f"/dev/fd/{writing}"), b"x")
    os.close(writing)
    with pytest.raises(OutputError, match=r"': no such descriptor is open$"):
        write(Path(f"/dev/fd/{writing}"), b"x")
    assert sorted(os.listdir(tmp_path)) == ["full", "socket"]


def test_a_standard_output_that_is_closed_is_not_another_file(tmp_path: Path) -> None:
    command = f"{sys.executable} -m archc {' '.join(EMIT)} /dev/stdout >&-"
    done = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == "archc: error: cannot write '/dev/stdout': it is closed\n"


def test_several_files_are_never_streams(tmp_path: Path, listener: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "folder").mkdir()
    kinds = {"pipe": "a pipe", "zero": "a device", "socket": "a socket", "folder": "a folder"}
    for name, kind in kinds.items():
        with pytest.raises(OutputError, match=f"{name}': it is {kind}$"):
            write_all({tmp_path / "file": b"new", tmp_path / name: b"new"})
    assert sorted(os.listdir(tmp_path)) == sorted(kinds)


# Names


@pytest.mark.parametrize("name", [LONG, "n" * 251 + ".svg", "\udcff.svg"])
def test_names_as_long_as_names_may_be(name: str, tmp_path: Path) -> None:
    for content in (b"old", b"new"):
        write(tmp_path / name, content)
        assert os.listdir(tmp_path) == [name]
    assert (tmp_path / name).read_bytes() == b"new"


def test_a_name_that_is_too_long_is_told(tmp_path: Path) -> None:
    for number, name in enumerate(("x" + LONG, "n" * 300, "n" * 300 + "/file")):
        done = archc(tmp_path, *EMIT, name)
        assert done.returncode == 1, number
        assert done.stderr.startswith("archc: error: cannot ")
        assert name in done.stderr
        assert done.stderr.endswith(": file name too long\n")
    assert os.listdir(tmp_path) == []


# Temporaries


def left_by_a_killed_process(target: Path) -> Path:
    """A temporary that nobody holds any more."""
    path = temporary_for(target)
    create(path, 0o600).close()
    return path


def test_temporaries_of_the_dead_go_and_everything_else_stays(tmp_path: Path) -> None:
    target = tmp_path / LONG
    left = left_by_a_killed_process(target)
    others = [left_by_a_killed_process(tmp_path / "other"), tmp_path / f".{LONG[:50]}.swp"]
    others += [tmp_path / f"{left.name}~", tmp_path / ".archc-mine.tmp"]
    for path in others[1:]:
        path.write_text("mine")
    link = temporary_for(target)
    link.symlink_to(others[1])
    folder = temporary_for(target)
    folder.mkdir()
    living = temporary_for(target)
    with create(living, 0o600):
        write(target, b"new")
    assert sorted(os.listdir(tmp_path)) == sorted(
        path.name for path in (target, living, link, folder, *others)
    )


def test_writers_hold_what_they_have_not_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, seen = os.replace, []

    def look(temporary: Path, path: Path) -> None:
        for name in os.listdir(tmp_path):
            if name.startswith(".archc-"):
                assert len(name) < 50
                with (tmp_path / name).open("rb") as file, pytest.raises(BlockingIOError):
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                seen.append(name)
        reclaim(tmp_path)
        replace(temporary, path)

    monkeypatch.setattr(os, "replace", look)
    write_all({tmp_path / f"file{number}": b"x" for number in range(3)})
    assert len(seen) == 3 + 2 + 1
    assert sorted(os.listdir(tmp_path)) == ["file0", "file1", "file2"]


def test_of_many_files_none_is_taken_for_a_dead_writers(tmp_path: Path) -> None:
    with Batch() as batch:
        for number in range(200):
            batch.create(tmp_path / f"file{number}")
        reclaim(tmp_path)
        assert len(os.listdir(tmp_path)) == 200
    assert os.listdir(tmp_path) == []


def test_a_thousand_files_need_few_descriptors(tmp_path: Path) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
    try:
        write_all({tmp_path / str(number): b"x" for number in range(300)})
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(os.listdir(tmp_path)) == 300


def test_where_nothing_can_be_locked_files_are_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = left_by_a_killed_process(tmp_path / "file")
    monkeypatch.setattr(locks, "fcntl", None)
    monkeypatch.setattr(files, "SUPPORTED", False)
    write(tmp_path / "file", b"new")
    assert sorted(os.listdir(tmp_path)) == sorted([left.name, "file"])


def test_steps_are_taken_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").touch()
    replace, states = os.replace, []

    def look(temporary: Path, path: Path) -> None:
        replace(temporary, path)
        present = (tmp_path / "gone").exists(), (tmp_path / "twice").read_bytes()
        states.append((*present, (tmp_path / "once").exists()))

    monkeypatch.setattr(os, "replace", look)
    twice = tmp_path / "twice"
    take_steps([(twice, b"1"), (tmp_path / "once", b""), (tmp_path / "gone", None), (twice, b"2")])
    assert states == [(True, b"1", False), (True, b"1", True), (False, b"2", True)]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_signals_take_away_what_is_not_finished(name: str, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("old")
    program = (
        "import os, signal, archc.files\n"
        # Whoever runs the tests in the background has SIGINT ignored.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def fsync(_):\n"
        "    assert [n for n in os.listdir() if n.startswith('.archc-')]\n"
        f"    for _ in range(2 - (signal.{name} == signal.SIGINT)):\n"
        f"        os.kill(os.getpid(), signal.{name})\n"
        "os.fsync = fsync\n"
        "from archc.cli import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *EMIT, "net.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    words = {"SIGTERM": "terminated", "SIGHUP": "hung up", "SIGINT": "interrupted"}[name]
    assert done.stderr == f"\narchc: {words}\n"
    assert done.returncode == 128 + getattr(signal, name)
    assert os.listdir(tmp_path) == ["net.py"]
    assert (tmp_path / "net.py").read_text() == "old"


def test_a_signal_that_is_ignored_stays_ignored(tmp_path: Path) -> None:
    program = (
        "import os, signal\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGHUP)\n"
        "from archc.cli import main\n"
        "main()\n"
    )
    subprocess.run([sys.executable, "-c", program, *EMIT, "net.py"], cwd=tmp_path, check=True)
    assert os.listdir(tmp_path) == ["net.py"]
