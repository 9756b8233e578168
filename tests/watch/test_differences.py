"""A spec that is watched beside another."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from watching import SPEC

from archc.cli import main
from archc.watching import Preview


def refresh(preview: Preview) -> None:
    """Compile and draw; in a thread, for where a browser's event loop is running in this one."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(preview.refresh())).result()


def test_what_differs_from_the_other_spec_is_marked(tmp_path: Path) -> None:
    base, spec = tmp_path / "base.yaml", tmp_path / "deeper.yaml"
    base.write_text(SPEC)
    spec.write_text(SPEC)
    preview = Preview(str(spec), base=str(base))
    assert preview.files() == [spec, base]
    refresh(preview)
    assert (preview.state.faults, "change changed" in preview.state.figure) == ((), False)
    spec.write_text(SPEC.replace("width: 8", "width: 12"))
    refresh(preview)
    assert "change changed" in preview.state.figure
    assert b"change changed" in preview.file("svg", folded=False)
    spec.write_text(SPEC.replace("width: 16", "width: sixteen"))
    refresh(preview)
    assert len(preview.state.faults) == 1
    assert "change changed" not in preview.state.figure
    spec.write_text(SPEC)
    base.write_text("name: [")
    refresh(preview)
    assert "base.yaml" in preview.state.faults[0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a", "b"], "several specs can be watched only with --diff, which takes two"),
        (["a", "--diff"], "--diff needs exactly two specs, not 1"),
        (["a", "b", "c", "--diff"], "--diff needs exactly two specs, not 3"),
    ],
)
def test_how_many_specs_are_watched(
    words: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.argv", ["archc", "watch", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())
