"""Build the book: run its chapters where something changed, refuse pages with a failure, say where the pages are.

Jupyter Book keeps the outputs of chapters it has run and does not notice that the package, the data, a recorded result
or the budget changed; nor does it write pages again when a style or script changed. This script keeps two keys beside
the build: when that of the chapters differs, all of them run again; when that of the pages differs, all are written
again from the outputs that were kept. Where neither differs there is nothing to do.

Pages are made in a folder of their own and take the place of those before once all of them are whole: a build that
fails leaves the pages of the last one that did not, with their key, by which nothing takes them for the present book.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labutils.core.runtime import budget, data_root

# what chapters depend on besides their own text, and what pages depend on besides the outputs of chapters
CHAPTERS = ("labutils/**/*", "results/**/*", "book/*.py", "book/_ext/**/*", "constraints.txt", "_config.yml")
PAGES = ("book/**/*", "nbs/*.ipynb", "CITATION.cff")
WORK = Path("_build/work")  # where Jupyter Book makes a _build of its own
CACHE = WORK / "_build" / ".jupyter_cache"  # the outputs of chapters
MADE = ("html", "times.json", "pages.key", "book.pdf")  # below _build: the last book that was made whole


def digest_of(root: Path, patterns: tuple[str, ...], *words: str) -> str:
    """Hex SHA-256 of some words, and of the names and bytes of the files that patterns find."""
    digest = hashlib.sha256("\0".join(words).encode())
    for path in sorted({path for pattern in patterns for path in root.glob(pattern)}):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(f"\0{path.relative_to(root)}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def data_manifest(folder: Path) -> Iterator[str]:
    """Name, size and time of change of every file below a folder, in order; nothing where there is no such folder."""
    seen = set()  # links are followed, as readers of data do; a circle of them is walked once
    for place, folders, files in os.walk(folder, followlinks=True):
        if os.path.realpath(place) in seen:
            folders.clear()
            continue
        seen.add(os.path.realpath(place))
        folders.sort()
        for name in sorted(files):
            path = Path(place, name)
            if path.exists():
                facts = path.stat()
                yield f"{path.relative_to(folder)} {facts.st_size} {facts.st_mtime_ns}"


def chapter_key(root: Path) -> str:
    """What the outputs of chapters follow: package, results, pins, settings, Python, budget, and the files of data."""
    data = data_root()
    return digest_of(root, CHAPTERS, sys.version, budget().name, str(data), *data_manifest(data))


def page_key(root: Path) -> str:
    """What the pages follow: all that chapters follow, and the text of every chapter and page."""
    return digest_of(root, PAGES, chapter_key(root))


def is_current(root: Path) -> bool:
    """Whether the pages below ``_build/html`` were made whole, from what is in the repository and the data now."""
    stamp = root / "_build" / "pages.key"
    return stamp.is_file() and stamp.read_text() == page_key(root) and (root / "_build/html/index.html").is_file()


@contextmanager
def only_one(root: Path) -> Iterator[None]:
    """Keep ``_build`` for one process at a time; a second waits and says so."""
    build = root / "_build"
    build.mkdir(exist_ok=True)
    with open(build / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("book: another build is under way in this folder; waiting for it", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that it holds, where there is one."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def discard_what_changed(root: Path) -> None:
    """Remove what an earlier build left behind; outputs of chapters stay if they have the present key, a book stays."""
    build, key = root / "_build", chapter_key(root)
    stamp = build / "chapters.key"
    same = stamp.is_file() and stamp.read_text() == key
    for path in build.iterdir():
        if path.name not in {"lock", "work", "chapters.key", *MADE}:
            remove(path)
    for path in (root / WORK / "_build").glob("*"):
        if path != root / CACHE or not same:
            remove(path)
    stamp.write_text(key)


def run_jupyter_book(root: Path) -> int:
    """Run Jupyter Book with warnings as errors and give its exit status; its output goes to ``_build/build.log``."""
    command = [Path(sys.executable).with_name("jupyter-book"), "build", ".", "--config", "_config.yml"]
    command += ["--toc", "book/_toc.yml", "--path-output", str(WORK), "-W", "--keep-going"]
    # one thread: the same numbers on every machine, and no waiting for a core that something else has taken
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS", "NUMBA")}
    environment = {**threads, **os.environ, "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    with open(root / "_build" / "build.log", "w") as log:
        return subprocess.run(
            command, cwd=root, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        ).returncode


def show_failure(root: Path) -> None:
    """Print what went wrong, and remove the pages of this build: one with a failed cell is none of the book."""
    build, pages = root / "_build", root / WORK / "_build" / "html"
    log = (build / "build.log").read_text(errors="replace").splitlines()
    named = [line for line in log if "WARNING" in line or "ERROR" in line]
    print("\n".join(named or log[-30:]), file=sys.stderr)
    for report in sorted(pages.glob("reports/**/*.err.log")):
        print(f"--- {report.name}\n{report.read_text()[-3000:]}", file=sys.stderr)
    remove(pages)
    print(f"book: not built; the messages are above, the whole log is {build / 'build.log'}", file=sys.stderr)
    if (build / "html").exists():
        print(f"book: the pages in {build / 'html'} are those of before", file=sys.stderr)


def publish(root: Path, key: str) -> None:
    """Put the pages just made in the place of those before; they are current once their key is written."""
    build = root / "_build"
    for name in reversed(MADE):  # the key before the pages: at no time does it stand beside others
        remove(build / name)
    (root / WORK / "_build" / "html").rename(build / "html")
    (build / "times.json").write_text(json.dumps(chapter_seconds(root), indent=1) + "\n")
    (build / "pages.key").write_text(key)


def chapter_seconds(root: Path) -> dict[str, float]:
    """How long each chapter of the table of contents last took to run, in seconds, by its file name."""
    from jupyter_cache import get_cache

    if not (root / CACHE).exists():
        return {}
    newest = sorted(get_cache(root / CACHE).list_cache_records(), key=lambda record: record.created)
    seconds = {Path(record.uri).stem: round(record.data.get("execution_seconds", 0.0), 1) for record in newest}
    return {name: seconds[name] for name in sorted(seconds) if (root / "nbs" / f"{name}.ipynb").exists()}


def build(root: Path) -> int:
    """Bring the pages up to date, unless they are, and give the exit status of Jupyter Book."""
    if is_current(root):
        return 0
    discard_what_changed(root)
    key = page_key(root)  # of what this build reads: a file changed meanwhile makes the pages old
    if status := run_jupyter_book(root):
        show_failure(root)
        return status
    publish(root, key)
    return 0


def main() -> int:
    """Build the book under ``--root``, say how long each chapter took and where the pages are; give the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent, help="top folder")
    root = parser.parse_args().root.resolve()
    with only_one(root):
        if status := build(root):
            return status
        seconds = json.loads((root / "_build" / "times.json").read_text())
    for name, value in seconds.items():
        print(f"book: {name} ran in {value:.1f} s")
    print(f"book: all chapters ran in {sum(seconds.values()):.1f} s")
    print(f"book: open {root / '_build' / 'html' / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
