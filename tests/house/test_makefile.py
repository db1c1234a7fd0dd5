"""The front door must open on machines as they are found."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_python_that_is_named_but_does_not_run_is_passed_over(tmp_path: Path) -> None:
    # pyenv puts a `python3.13` in the PATH for each version it has, also where none of them is active.
    for name, body in {"python3.13": "exit 127", "python3.12": f'exec "{sys.executable}" "$@"'}.items():
        command = tmp_path / name
        command.write_text(f"#!/bin/sh\n{body}\n")
        command.chmod(0o755)
    found = subprocess.run(
        ["make", "--eval", "which: ; @echo $(PYTHON)", "which"],
        cwd=ROOT,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert found.stdout.strip() == str(tmp_path / "python3.12")
