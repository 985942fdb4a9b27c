"""Running the cells of a notebook as the tests do: nbval in a child pytest, one kernel, warnings are errors."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CHAPTERS = sorted((ROOT / "nbs").glob("*.ipynb"))
CELL_TIMEOUT_S = 60


def run_cells(path: Path, home: Path, cell_timeout_s: int = CELL_TIMEOUT_S) -> subprocess.CompletedProcess[str]:
    """Run the cells of a notebook in the smoke budget; kernels keep their files under `home`."""
    startup = home / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "strict_kernel.py", startup / "00-strict.py")
    command = [sys.executable, str(HERE / "lean_pytest.py"), str(path)]
    command += ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT), "-p", "nbval", "--nbval-lax"]
    command += ["--nbval-current-env", "--nbval-sanitize-with", str(HERE / "sanitize.cfg")]
    command += [f"--nbval-cell-timeout={cell_timeout_s}", "-q", "-p", "no:cacheprovider"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    settings = {"LABUTILS_BUDGET": "smoke", "IPYTHONDIR": str(home / "ipython"), "MPLBACKEND": "agg"}
    settings["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # each plugin costs time at every start; nbval is named above
    return subprocess.run(command, cwd=ROOT, env=kept | settings, capture_output=True, text=True, check=False)
