"""Build the book: run its chapters where something changed, refuse pages with a failure, say where the pages are.

Jupyter Book keeps the outputs of chapters it has run and does not notice that the package, a recorded result or the
budget changed; this script keeps a key of all of these beside the build, and starts afresh when the key differs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

INPUTS = ("labutils/**/*", "results/**/*", "constraints.txt", "_config.yml", "book/_ext/*.py")


def build_key(root: Path) -> str:
    """Hex SHA-256 of what chapters depend on besides their own text: package, results, pins, settings, environment."""
    digest = hashlib.sha256(sys.version.encode())
    for pattern in INPUTS:
        for path in sorted(root.glob(pattern)):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(f"\0{path.relative_to(root)}\0".encode())
                digest.update(path.read_bytes())
    for name in sorted(name for name in os.environ if name.startswith("LABUTILS_")):
        digest.update(f"\0{name}={os.environ[name]}".encode())
    return digest.hexdigest()


def discard_if_changed(root: Path) -> None:
    """Remove the build folder when it was made with another key, so that no old output can be shown."""
    build, key = root / "_build", build_key(root)
    stamp = build / "key"
    if build.exists() and (not stamp.exists() or stamp.read_text() != key):
        shutil.rmtree(build)
    build.mkdir(exist_ok=True)
    stamp.write_text(key)


def run_jupyter_book(root: Path) -> int:
    """Run Jupyter Book with warnings as errors and give its exit status; its output goes to ``_build/build.log``."""
    command = [Path(sys.executable).with_name("jupyter-book"), "build", ".", "--config", "_config.yml"]
    command += ["--toc", "book/_toc.yml", "-W", "--keep-going"]
    # one thread: the same numbers on every machine, and no waiting for a core that something else has taken
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS", "NUMBA")}
    environment = {**threads, **os.environ, "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    with open(root / "_build" / "build.log", "w") as log:
        return subprocess.run(
            command, cwd=root, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        ).returncode


def show_failure(root: Path) -> None:
    """Print what went wrong, and remove the pages: a page with a failed cell must not be mistaken for the book.

    The parsed pages go too: Jupyter Book would not read them again, and its next run would call them good.
    """
    build = root / "_build"
    log = (build / "build.log").read_text(errors="replace").splitlines()
    named = [line for line in log if "WARNING" in line or "ERROR" in line]
    print("\n".join(named or log[-30:]), file=sys.stderr)
    for report in sorted(build.glob("html/reports/**/*.err.log")):
        print(f"--- {report.name}\n{report.read_text()[-3000:]}", file=sys.stderr)
    for folder in (build / "html", build / ".doctrees"):
        shutil.rmtree(folder, ignore_errors=True)
    print(f"book: not built; the messages are above, the whole log is {build / 'build.log'}", file=sys.stderr)


def chapter_seconds(root: Path) -> dict[str, float]:
    """How long each chapter of the table of contents last took to run, in seconds, by its file name."""
    from jupyter_cache import get_cache

    folder = root / "_build" / ".jupyter_cache"
    if not folder.exists():
        return {}
    newest = sorted(get_cache(folder).list_cache_records(), key=lambda record: record.created)
    seconds = {Path(record.uri).stem: round(record.data.get("execution_seconds", 0.0), 1) for record in newest}
    return {name: seconds[name] for name in sorted(seconds) if (root / "nbs" / f"{name}.ipynb").exists()}


def main() -> int:
    """Build the book under ``--root`` and give the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent, help="top folder")
    root = parser.parse_args().root.resolve()
    discard_if_changed(root)
    if status := run_jupyter_book(root):
        show_failure(root)
        return status
    seconds = chapter_seconds(root)
    (root / "_build" / "times.json").write_text(json.dumps(seconds, indent=1) + "\n")
    for name, value in seconds.items():
        print(f"book: {name} ran in {value:.1f} s")
    print(f"book: open {root / '_build' / 'html' / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
