"""Temporary folders go with their process, or with the next one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from genreplay.common import scratch
from genreplay.common.scratch import Scratch

HOLD = """
import sys, time
from pathlib import Path
from genreplay.common.scratch import Scratch
held = Scratch("held", Path(sys.argv[1]))
(held.folder / "file").write_text("")
print(held.name, flush=True)
time.sleep(100)
"""


def test_what_a_killed_process_left_behind_is_removed_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "genreplay-of-somebody-else").mkdir()
    with subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        held = Path(process.stdout.readline().strip())
        monkeypatch.setattr(scratch, "YOUNG_SECONDS", -1.0)
        with Scratch("x", tmp_path) as folder:
            assert not list(Path(folder).iterdir())
            assert (held / "files" / "file").is_file()
        assert not Path(folder).exists()
        os.kill(process.pid, signal.SIGKILL)
    monkeypatch.setattr(scratch, "YOUNG_SECONDS", 100.0)
    Scratch("x", tmp_path).cleanup()
    assert held.exists()
    monkeypatch.setattr(scratch, "YOUNG_SECONDS", -1.0)
    Scratch("x", tmp_path).cleanup()
    assert [path.name for path in tmp_path.iterdir()] == ["genreplay-of-somebody-else"]
