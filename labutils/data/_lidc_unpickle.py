"""The one file that opens a pickle: a program that `labutils.data.lidc_pickle` runs, and nothing imports.

A pickle is a list of instructions, and reading one carelessly runs whatever its author wrote. Here are two walls:

- **It can name nothing.** Of all Python, a file reaches the entries of `STANDS`: what NumPy 1 and 2 write into the
  pickles of Python 2 and 3 to rebuild an array. Each name gives a stand-in written here, which takes bytes and a shape
  and calls nothing that the file chose; NumPy's own functions are never handed out.
- **It could do nothing.** Before its first byte is read, this process gives up the right to open another file or
  socket and to start another process, and memory, time and the size of its files are limited. It knows no environment
  variable of the person who started it.

What leaves are two plain arrays and a list of ids, in files that were opened before. The program imports nothing of
this package, so it starts without any path of a person's on Python's search path.
"""

from __future__ import annotations

import contextlib
import json
import pickle
import resource
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

NUMBERS = {"b1", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"}  # element types of plain arrays
LONGEST = 200  # characters of an id


class Refused(Exception):  # noqa: N818  what it says goes to a person
    """The file asks for something, or holds something, that it must not."""


class Stand:
    """What a pickle gets for a name it may use: it can be called, and not be changed."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setstate__(self, _state: object) -> None:
        raise Refused("it tries to change what it may only call")


class ElementType:
    """Stands for ``numpy.dtype``: one of `NUMBERS`, and in which order its bytes are."""

    __slots__ = ("code",)

    def __init__(self, code: object, *_flags: object) -> None:
        if type(code) is not str or code not in NUMBERS:
            raise Refused(f"it holds an array of {short(code)}; wanted plain numbers")
        self.code = code

    def __setstate__(self, state: Any) -> None:
        order, inner = state[1], state[2:5]  # a part, names and fields make other types than plain numbers
        if order not in ("<", ">", "=", "|") or any(part is not None for part in inner):
            raise Refused("it holds an array of a compound type; wanted plain numbers")
        self.code = order + self.code[-2:]


class Array:
    """Stands for an array: as soon as its bytes are known, it keeps 8-bit levels of them and nothing else."""

    __slots__ = ("binary", "levels")

    def __init__(self) -> None:
        self.levels = np.empty(0, np.uint8)  # 255 times its values, where all lay in [0, 1]
        self.binary = False  # whether all were 0 or 1

    def __setstate__(self, state: Any) -> None:
        _version, shape, element, columns_first, data = state
        self.fill(data, element, shape, "F" if columns_first else "C")

    def fill(self, data: object, element: object, shape: Any, order: Any) -> None:
        """Take the bytes of an array; text is what Python 2 called bytes."""
        data = data.encode("latin1") if isinstance(data, str) else data
        if type(element) is not ElementType or not isinstance(data, bytes | bytearray):
            raise Refused("it holds an array without plain bytes")
        values = np.frombuffer(data, element.code).reshape(shape, order=order)
        if values.size and values.min() >= 0 and values.max() <= 1:
            self.levels = np.round(values * 255.0).astype(np.uint8)
            self.binary = bool(((values == 0) | (values == 1)).all())


def _array_type(*_arguments: object) -> None:
    raise Refused("it makes an array by another way than NumPy's")


def _reconstruct(_kind: object, _shape: object, _code: object) -> Array:
    return Array()


def _from_buffer(data: object, element: object, shape: object, order: object) -> Array:
    array = Array()
    array.fill(data, element, shape, order)
    return array


def _scalar(_element: object, _data: object) -> None:
    """A single number, such as a pixel's size, which is not needed."""


def _encode(text: object, encoding: object) -> str:
    """The text itself, which `Array` takes for bytes: a second copy of each would double the memory."""
    if type(text) is not str or encoding != "latin1":
        raise Refused(f"it encodes text as {short(encoding)}")
    return text


STANDS = {
    ("numpy", "ndarray"): Stand(_array_type),
    ("numpy", "dtype"): Stand(ElementType),
    ("_codecs", "encode"): Stand(_encode),  # how Python 3 writes bytes in a form that Python 2 reads
    **{(f"numpy.{core}.multiarray", "_reconstruct"): Stand(_reconstruct) for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): Stand(_scalar) for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): Stand(_from_buffer) for core in ("core", "_core")},
}


class Unpickler(pickle.Unpickler):
    """Reads numbers, text, lists, tables and arrays; every name but those of `STANDS` is refused."""

    def find_class(self, module: str, name: str) -> Stand:
        """The stand-in for a name.

        Raises:
            Refused: the name is not in `STANDS`.
        """
        if (module, name) not in STANDS:
            raise Refused(f"it names {short(f'{module}.{name}')}, which may run code")
        return STANDS[module, name]

    def persistent_load(self, _pid: object) -> None:
        """Refuse a reference to something outside the file."""
        raise Refused("it refers to something outside itself")


def short(value: object) -> str:
    """A value of the file as safe text of one line."""
    return ascii(value if isinstance(value, str | int | None) else type(value).__name__)[:80]


def read(stream: BinaryIO) -> dict[Any, Any]:
    """The table that a pickle holds.

    Raises:
        Refused: the file holds something else, or goes on after its end.
    """
    crops = Unpickler(stream, encoding="latin1").load()
    if type(crops) is not dict or not crops:
        raise Refused(f"it holds {short(type(crops).__name__)}; wanted a table of crops")
    if stream.read(1):
        raise Refused("it goes on after its end")
    return crops


def checked(crop: Any, size: int, raters: int) -> tuple[np.ndarray, list[np.ndarray], str]:
    """The image, the masks and the series id of one crop.

    Raises:
        Refused: one is missing or of another form.
    """
    if type(crop) is not dict or not {"image", "masks", "series_uid"} <= set(crop):
        raise Refused("wanted a table with image, masks and series_uid")
    image, masks, series = crop["image"], crop["masks"], crop["series_uid"]
    if type(image) is not Array or image.levels.shape != (size, size):
        raise Refused(f"image is no array of {size} x {size} values in [0, 1]")
    drawn = [masks] if type(masks) is Array else masks
    if type(drawn) not in (list, tuple) or not all(type(one) is Array and one.binary for one in drawn):
        raise Refused("masks are no arrays of 0 and 1")
    layers = [layer for one in drawn for layer in one.levels.reshape(-1, *one.levels.shape[-2:])]
    if len(layers) != raters or any(layer.shape != (size, size) for layer in layers):
        raise Refused(f"wanted {raters} masks of {size} x {size} pixels")
    if type(series) is not str or not 0 < len(series) <= LONGEST:
        raise Refused(f"series_uid is {short(series)}")
    return image.levels, layers, series


def write(crops: dict[Any, Any], task: dict[str, Any], files: Mapping[str, BinaryIO]) -> None:
    """Write all crops as plain arrays, and their ids.

    Raises:
        Refused: there are more than may be, or one is not as it should be; the text names it.
    """
    size, raters, most = task["size"], task["raters"], task["most"]
    if len(crops) > most:
        raise Refused(f"it holds {len(crops)} crops; wanted {most} at most")
    shapes = {"images": (len(crops), size, size), "masks": (len(crops), raters, size, size)}
    for name, shape in shapes.items():
        head = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(files[name], head)
    ids = []
    for key, crop in crops.items():
        try:
            image, layers, series = checked(crop, size, raters)
        except Refused as error:
            raise Refused(f"crop {short(key)}: {error}") from None
        if type(key) not in (str, int) or len(str(key)) > LONGEST:
            raise Refused(f"a crop is called {short(key)}; wanted text or a number")
        files["images"].write(image.tobytes())
        files["masks"].write(b"".join((layer > 0).astype(np.uint8).tobytes() for layer in layers))
        ids.append((str(key), series))
    files["ids"].write(json.dumps(ids).encode())


def give_up_rights(task: dict[str, Any]) -> None:
    """From here on: no other file, socket or process; limits of memory, time and what is written."""
    limits = {
        resource.RLIMIT_AS: task["memory_bytes"],
        resource.RLIMIT_CPU: task["seconds"],
        resource.RLIMIT_FSIZE: task["file_bytes"],
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_NOFILE: 0,  # files that are open stay so
    }
    for limit, most in limits.items():
        with contextlib.suppress(ValueError, OSError):  # some systems lack some; the walls above do not lean on it
            resource.setrlimit(limit, (most, most))
    sys.addaudithook(_refuse_event)


def _refuse_event(event: str, _arguments: object) -> None:
    raise Refused(f"it asks for {event}")


@contextlib.contextmanager
def reading() -> Iterator[None]:
    """Tell an error of the disk in reading from one in writing."""
    try:
        yield
    except OSError as error:
        raise Refused(f"it cannot be read: {error.strerror}") from None


def convert(task: dict[str, Any]) -> None:
    """Read the pickle and write what it holds; from the first byte on, this process can do nothing else.

    Raises:
        Refused: the file cannot be read, or is not as it should be.
        OSError: a file cannot be written.
    """
    with contextlib.ExitStack() as stack:
        with reading():
            source = stack.enter_context(open(task["file"], "rb"))
        names = {"images": "images.npy", "masks": "masks.npy", "ids": "ids.json"}
        files = {name: stack.enter_context(open(Path(task["folder"], file), "wb")) for name, file in names.items()}
        give_up_rights(task)
        with reading():
            crops = read(source)
        write(crops, task, files)


def main() -> None:
    """Do the task given as JSON in the first argument, and say as JSON how it went."""
    task = json.loads(sys.argv[1])
    answer: dict[str, object] = {"done": True}
    try:
        convert(task)
    except Refused as error:
        answer = {"fault": str(error)}
    except MemoryError:
        answer = {"fault": "it wants more memory than its size warrants"}
    except OSError as error:  # of writing; a full disk may show only when the files are closed
        answer = {"fault": f"what it holds cannot be written ({error.strerror}); is the disk full?"}
    except Exception as error:  # a damaged file makes the reader raise nearly anything
        answer = {"fault": f"it is damaged or no pickle of crops ({type(error).__name__})"}
    sys.stdout.write(json.dumps(answer))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
