"""Archives of any names, kinds and sizes, true or not, and what a folder holds before and after."""

import gzip
import io
import tarfile
import warnings
import zipfile


def member(name, content=b"x", *, kind=tarfile.REGTYPE, target="", size=None):
    """A member of a tar file and its content."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, target, 0o6755
    plain = kind in (tarfile.REGTYPE, tarfile.AREGTYPE)
    info.size = len(content) if plain else 0
    if size is not None:
        info.size = size
    return info, content if plain else b""


def tar_bytes(*members, end=True):
    """A plain tar file; sizes and types are written as they are given, true or not."""
    out = io.BytesIO()
    for info, content in members:
        out.write(info.tobuf(tarfile.GNU_FORMAT))
        out.write(content + bytes(-len(content) % 512))
    return out.getvalue() + (bytes(1024) if end else b"")


def tar_of(*names):
    return tar_bytes(*[member(name) for name in names])


def zip_bytes(*entries, **changes):
    """A zip file of (name, content) or (ZipInfo, content)."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content, **changes)
    return out.getvalue()


def zip_of(*names):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a name that occurs twice
        return zip_bytes(*[(name, b"x") for name in names])


def patched(content, old, new, count=-1):
    assert old in content
    return content.replace(old, new, count)


def bomb_in_tar():
    return gzip.compress(tar_bytes(member("data/zeros", bytes(40 << 20))))


def snapshot(folder):
    """Everything below a folder: kind, rights and content."""
    return {
        str(path.relative_to(folder)): (path.lstat().st_mode, path.is_file() and path.read_bytes())
        for path in sorted(folder.rglob("*"))
    }
