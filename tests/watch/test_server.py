"""``archc watch`` as browsers and other programs meet it."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from shell import archc as run
from watching import SPEC, watching

import archc


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "tiny.yaml"
    file.write_text(SPEC)
    return file


def save(path: Path, text: str) -> None:
    """Put a whole file in the place of another, which is never seen half-written."""
    other = path.with_name(f"{path.name}~")
    other.write_text(text)
    os.replace(other, path)


def test_the_page_and_its_headers(path: Path) -> None:
    with watching(path) as watcher:
        assert watcher.line == f"{watcher.address} shows tiny.yaml; Ctrl-C stops it\n"
        assert watcher.address == f"http://127.0.0.1:{watcher.port}/"
        for name, kind in (
            ("/", "text/html"),
            ("/watch.js", "text/javascript"),
            ("/watch.css", "text/css"),
        ):
            answer = watcher.get(name)
            assert (answer.status, answer.headers.get_content_type()) == (200, kind)
            policy = answer.headers["Content-Security-Policy"]
            assert policy.startswith("default-src 'none'; script-src 'self'; ")
            assert "unsafe" not in policy
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "name", ["/tiny.yaml", "/../tiny.yaml", "/etc/passwd", "/events/", "//etc/passwd", "/watch.py"]
)
def test_nothing_else_is_served(path: Path, name: str) -> None:
    with watching(path) as watcher:
        assert watcher.get(name).status in (404, 307)
        assert b"stages" not in watcher.get(name).body


def test_other_sites_are_refused(path: Path) -> None:
    with watching(path) as watcher:
        own = f"127.0.0.1:{watcher.port}"
        for host in (
            "evil.example",
            f"evil.example:{watcher.port}",
            "127.0.0.1",
            "127.0.0.1:1",
            "",
        ):
            assert watcher.get("/events", Host=host).status == 403
        for origin in ("http://evil.example", "null", f"https://{own}", "http://127.0.0.1:1"):
            assert watcher.get("/", Origin=origin).status == 403
        assert watcher.get("/", Host=own, Origin=f"http://{own}").status == 200
        assert watcher.get("/", Host=f"localhost:{watcher.port}").status == 200
        assert watcher.get("/", Host="evil.example").headers["X-Content-Type-Options"] == "nosniff"


def test_no_other_machine_can_reach_it(path: Path) -> None:
    with watching(path) as watcher:
        with socket.socket() as other:
            other.bind(("127.0.0.2", 0))
        with socket.socket() as client, pytest.raises(ConnectionRefusedError):
            client.connect(("127.0.0.2", watcher.port))


def test_saves_are_followed_and_mistakes_stand_above_the_figure_up_to_them(path: Path) -> None:
    with watching(path) as watcher:
        first = watcher.state()
        assert (first["title"], first["faults"]) == ("Tiny", [])
        assert first["figure"].startswith("<svg")
        save(path, SPEC.replace("Tiny", "Small"))
        second = watcher.state()
        assert second["title"] == "Small"
        assert second["version"] == first["version"] + 1
        save(path, SPEC.replace("depth: 2, width: 16", "dept: 2, width: 16"))
        broken = watcher.state()
        assert (broken["mark"], broken["stale"]) == ("stage 2 has no attribute `dept`", False)
        assert broken["totals"].startswith("up to the fault: 4 layers, ")
        assert broken["figure"].count('class="conv') == 4
        assert f'<g id="{broken["fault_id"]}" class="other">' in broken["figure"]
        assert broken["faults"] == [
            "tiny.yaml:7:6: error: stage 2 has no attribute `dept`\n"
            "    - {dept: 2, width: 16, stride: 2}\n"
            "       ^\n"
            "hint: did you mean `depth`?",
        ]
        save(path, "name: [")
        unreadable = watcher.state()
        assert (unreadable["figure"], unreadable["stale"]) == (second["figure"], True)
        assert (unreadable["mark"], len(unreadable["faults"])) == ("", 1)
        save(path, SPEC)
        mended = watcher.state()
        assert (mended["title"], mended["faults"]) == ("Tiny", [])
        assert (mended["mark"], mended["stale"]) == ("", False)


def test_the_figure_is_a_file_folded_or_not(path: Path) -> None:
    path.write_text(SPEC.replace("depth: 2", "depth: 3"))
    network = archc.load(path)
    with watching(path) as watcher:
        state = watcher.state()
        assert (state["name"], state["folded"], state["folds"]) == ("tiny", False, True)
        for form in ("folded", "unfolded"):
            for format, _ in state["saves"]:
                answer = watcher.get(f"/figure/{form}.{format}")
                assert answer.status == 200
                assert answer.body == archc.draw(network, format=format, fold=form == "folded")
        for name in ("folded.png", "other.svg", "folded", "folded.svg/x"):
            assert watcher.get(f"/figure/{name}").status == 404
        path.write_text("name: [")
        assert watcher.state()["stale"]
        assert watcher.get("/figure/folded.svg").status == 200
    path.write_text("name: [")
    with watching(path) as watcher:
        answer = watcher.get("/figure/folded.svg")
        assert (answer.status, answer.body) == (409, b"there is no figure yet")


def test_files_are_followed_whether_written_in_place_or_replaced(path: Path) -> None:
    with watching(path) as watcher:
        watcher.state()
        path.write_text(SPEC.replace("Tiny", "In place"))
        assert watcher.whole()["title"] == "In place"
        save(path, SPEC.replace("Tiny", "Another file"))
        assert watcher.state()["title"] == "Another file"


def test_a_deleted_spec_is_told_and_comes_back(path: Path) -> None:
    with watching(path) as watcher:
        figure = watcher.state()["figure"]
        path.unlink()
        gone = watcher.state()
        assert gone["figure"] == figure
        assert gone["faults"][0].startswith("tiny.yaml:1:1: error: there is no file")
        save(path, SPEC)
        assert watcher.state()["faults"] == []


def test_what_a_spec_extends_is_followed_too(path: Path) -> None:
    (path.parent / "parents").mkdir()
    parent = path.parent / "parents" / "parent.yaml"
    parent.write_text(SPEC)
    path.write_text("extends: cifar10/resnet20\nname: tiny\n")
    with watching(path) as watcher:
        assert watcher.state()["totals"].startswith("20 layers")
        save(path, "extends: parents/parent.yaml\nname: tiny\n")
        assert watcher.state()["totals"].startswith("9 layers")
        save(parent, SPEC.replace("depth: 2, width: 8", "depth: 3, width: 8"))
        assert watcher.state()["totals"].startswith("11 layers")
        save(parent, "nonsense")
        assert watcher.state()["faults"][0].startswith("parents/parent.yaml:1:1: error:")


def test_links_are_followed_to_what_is_saved(path: Path) -> None:
    """A link to a link in a linked folder; all of it may be changed."""
    folder = path.parent
    (folder / "real").mkdir()
    os.replace(path, folder / "real" / "first.yaml")
    (folder / "real" / "second.yaml").write_text(SPEC.replace("Tiny", "Second"))
    (folder / "alias").symlink_to("real")
    (folder / "middle.yaml").symlink_to("alias/first.yaml")
    path.symlink_to("middle.yaml")
    with watching(path) as watcher:
        assert watcher.state()["title"] == "Tiny"
        (folder / "real" / "first.yaml").write_text(SPEC.replace("Tiny", "First"))
        assert watcher.whole()["title"] == "First"
        (folder / "new.yaml").symlink_to("real/second.yaml")
        os.replace(folder / "new.yaml", folder / "middle.yaml")
        assert watcher.state()["title"] == "Second"
        (folder / "real" / "second.yaml").write_text(SPEC.replace("Tiny", "Again"))
        assert watcher.whole()["title"] == "Again"
        path.unlink()
        path.symlink_to("tiny.yaml")
        assert watcher.state()["faults"]
        path.unlink()
        path.write_text(SPEC)
        assert watcher.whole()["title"] == "Tiny"
        assert watcher.stop() == (0, "archc: stopped\n")


def test_folders_may_go_and_come_back_step_by_step(path: Path) -> None:
    deep = path.parent / "in" / "deep" / "parent.yaml"
    path.write_text("extends: in/deep/parent.yaml\nname: tiny\n")
    with watching(path) as watcher:
        assert watcher.state()["faults"]
        for round_ in ("One", "Two"):
            for folder in (deep.parent.parent, deep.parent):
                folder.mkdir()
                time.sleep(0.7)
            save(deep, SPEC.replace("depth: 2, width: 8", f"depth: {len(round_)}, width: 8"))
            assert watcher.state()["faults"] == []
            shutil.rmtree(deep.parent.parent)
            assert watcher.state()["faults"]


def test_a_spec_that_is_broken_from_the_start_is_told_and_waited_for(path: Path) -> None:
    path.write_text("name: tiny\nstages: 3\n")
    with watching(path) as watcher:
        state = watcher.state()
        assert (state["figure"], len(state["faults"])) == ("", 1)
        save(path, SPEC)
        assert watcher.state()["figure"].startswith("<svg")
        code, told = watcher.stop()
        assert code == 0
        assert told.startswith("tiny.yaml:2:9: error: `stages` must be a list")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_stops_cleanly_while_pages_are_open(path: Path, number: int) -> None:
    with watching(path) as watcher:
        watcher.state()
        assert watcher.stop(number) == (0, "archc: stopped\n")


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux sets others' limits")
def test_it_goes_on_when_it_has_run_out_of_file_descriptors(path: Path) -> None:
    with watching(path) as watcher, ExitStack() as stack:
        assert watcher.state()["faults"] == []
        limits = resource.prlimit(watcher.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(watcher.process.pid, resource.RLIMIT_NOFILE, (16, limits[1]))
        for _ in range(20):
            stack.enter_context(socket.create_connection(("127.0.0.1", watcher.port)))
        time.sleep(1)  # in which asyncio tries thousands of times
        stack.close()
        watcher.get("/watch.css")
        save(path, SPEC.replace("Tiny", "Small"))
        while watcher.state()["title"] != "Small":
            pass
        told = "archc: too many open files: the page waits until some are closed\n"
        assert watcher.stop() == (0, f"{told}archc: stopped\n")


def test_a_port_in_use_is_told(path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        result = run("watch", path.name, "--port", str(port), cwd=path.parent)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (f"archc: error: port {port} is in use; --port 0 takes a free one\n")


def test_what_cannot_be_watched_is_told(path: Path) -> None:
    result = run("watch", "-", cwd=path.parent, stdin=SPEC)
    assert (result.returncode, result.stdout) == (2, "")
    assert "standard input cannot be watched" in result.stderr
    result = run("watch", "nope.yaml", cwd=path.parent)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("nope.yaml:1:1: error: there is no file")
    result = run("watch", path.name, "--port", "70000", cwd=path.parent)
    assert result.returncode == 2
