"""Pickles that would run code, open files or take the machine's memory, if they were carried out.

`INERT` can all be read beside a state dict, and what they make is left out. `BROKEN` are refused.
`python hostile_pickles.py FOLDER` reads the files in a folder while an audit hook records what
happens: `test_pickles.py` runs it, since a hook cannot be removed.
"""

from __future__ import annotations

import json
import pickle
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

HARMLESS = ("builtins.id", "mmap.__new__")
"""What reading does itself: identities of values, and a view of the file."""

TRACE = "trace-of-hostile-pickle"
"""The file that they would create."""

COMMAND = f"touch {TRACE}"
CODE = f"open({TRACE!r}, 'w').close()"


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def stacked(module: str, attribute: str) -> bytes:
    """A name as protocol 4 writes it."""
    return text(module) + text(attribute) + b"\x93"


def call(module: str, attribute: str, *arguments: bytes) -> bytes:
    return name(module, attribute) + b"(" + b"".join(arguments) + b"tR"


def dictionary(**entries: bytes) -> bytes:
    return b"}(" + b"".join(text(key) + value for key, value in entries.items()) + b"u"


SYSTEM = name("os", "system")
TOUCH = text(COMMAND)
RUN = call("os", "system", TOUCH)
FILE = text(TRACE) + text("w")
RANGE = call("builtins", "range", b"\x8a\x06\0\0\0\0\0\x01")
LAZY = call("builtins", "map", SYSTEM, b"](" + TOUCH + b"e")

CALLS: dict[str, bytes] = {
    f"{module}.{attribute}": call(module, attribute, *arguments)
    for module, attribute, *arguments in (
        ("os", "system", TOUCH),
        ("posix", "system", TOUCH),
        ("os", "popen", TOUCH),
        ("os", "execvp", text("touch"), b"](" + text("touch") + text(TRACE) + b"e"),
        ("os", "mkdir", text(TRACE)),
        ("os", "open", text(TRACE), b"K\x42"),
        ("os", "putenv", text("HOME"), text("/")),
        ("subprocess", "Popen", TOUCH),
        ("subprocess", "check_output", TOUCH),
        ("builtins", "exec", text(CODE)),
        ("builtins", "eval", text(CODE)),
        ("__builtin__", "eval", text(CODE)),
        ("builtins", "compile", text(CODE), text("x"), text("exec")),
        ("builtins", "open", FILE),
        ("io", "open", FILE),
        ("_io", "FileIO", FILE),
        ("codecs", "open", FILE),
        ("builtins", "__import__", text("antigravity")),
        ("builtins", "getattr", name("builtins", "str"), text("mro")),
        ("builtins", "setattr", name("sys", "modules"), text("a"), b"N"),
        ("builtins", "type", text("A"), b")", b"}"),
        ("builtins", "breakpoint"),
        ("builtins", "input"),
        ("importlib", "import_module", text("antigravity")),
        ("importlib.util", "spec_from_file_location", text("a"), text(TRACE)),
        ("runpy", "run_path", text(TRACE)),
        ("runpy", "_run_code", text(CODE), b"}"),
        ("timeit", "timeit", text(CODE)),
        ("cProfile", "run", text(CODE)),
        ("pdb", "run", text(CODE)),
        ("code", "interact"),
        ("pickle", "loads", b"C\x02).", b")"),
        ("_pickle", "loads", b"C\x02)."),
        ("marshal", "loads", b"C\x01N"),
        ("shelve", "open", text(TRACE)),
        ("types", "FunctionType", b"N", b"}"),
        ("types", "CodeType", b"N"),
        ("ctypes", "CDLL", text("libc.so.6")),
        ("socket", "create_connection", text("localhost") + b"K\x50\x86"),
        ("urllib.request", "urlopen", text("http://localhost/")),
        ("webbrowser", "open", text("http://localhost/")),
        ("shutil", "rmtree", text(TRACE)),
        ("tempfile", "mkdtemp"),
        ("functools", "partial", SYSTEM, TOUCH),
        ("functools", "reduce", SYSTEM, b"](" + TOUCH + TOUCH + b"e"),
        ("operator", "attrgetter", text("system")),
        ("operator", "methodcaller", text("system"), TOUCH),
        ("itertools", "repeat", b"N"),
        (
            "copyreg",
            "_reconstructor",
            name("subprocess", "Popen"),
            name("builtins", "object"),
            b"N",
        ),
        ("copyreg", "__newobj__", name("subprocess", "Popen"), TOUCH),
        ("copyreg", "add_extension", text("os"), text("system"), b"K\x01"),
        ("copy", "deepcopy", b"]"),
        ("atexit", "register", SYSTEM, TOUCH),
        ("sys", "settrace", SYSTEM),
        ("sys", "exit", b"K\x03"),
        ("os", "_exit", b"K\x03"),
        ("os", "abort"),
        ("faulthandler", "_sigsegv"),
        ("time", "sleep", b"J\xff\xff\xff\x7f"),
        ("threading", "Thread", b"N", SYSTEM),
        ("logging.config", "dictConfig", b"}"),
        ("collections", "namedtuple", text("A"), text("b c")),
        ("collections", "defaultdict", SYSTEM),
        ("_codecs", "encode", text("a"), text("idna")),
        ("_codecs", "encode", text("a"), text("antigravity")),
        ("_codecs", "lookup", text("antigravity")),
        ("torch", "load", text(TRACE)),
        ("torch.hub", "load", text("a/b"), text("c")),
        ("torch.jit", "load", text(TRACE)),
        ("torch.storage", "_load_from_bytes", b"C\x02)."),
        ("torch._utils", "_import_dotted_name", text("os.system")),
        ("torch._tensor", "_rebuild_from_type_v2", SYSTEM, name("builtins", "int"), TOUCH, b"N"),
        ("torch._utils", "_rebuild_wrapper_subclass", SYSTEM, TOUCH, b")", b")"),
        ("torch._utils", "_rebuild_parameter", RUN, b"\x89", b"}"),
        ("torch._utils", "_rebuild_tensor_v2", RUN, b"K\0", b")", b")", b"\x89", b"}"),
        ("torch._utils", "_rebuild_tensor", b"N"),
        ("torch.fx.graph_module", "reduce_graph_module", b"}", text("import antigravity")),
        ("torch.nn.parameter", "Parameter", RUN),
        ("torch", "Size", LAZY),
        ("torch", "float32", TOUCH),
        ("torch", "FloatStorage", b"\x8a\x05\0\0\0\0\x10"),
        ("torch", "UntypedStorage", b"\x8a\x05\0\0\0\0\x10"),
        ("torch", "zeros", b"\x8a\x05\0\0\0\0\x10"),
        ("numpy", "load", text(TRACE), b"\x88"),
        ("numpy", "fromfile", text(TRACE)),
        ("numpy", "zeros", b"\x8a\x05\0\0\0\0\x10"),
        ("numpy", "dtype", RUN),
        ("numpy.core.multiarray", "_reconstruct", SYSTEM, TOUCH, b"N"),
        ("numpy.core.multiarray", "scalar", RUN, TOUCH),
        ("numpy._core.multiarray", "scalar", call("numpy", "dtype", text("O8")), b"C\x02)."),
        ("numpy._core.numeric", "_frombuffer", RUN, RUN, RUN, RUN),
        ("numpy.testing._private.utils", "runstring", text(CODE), b"}"),
        ("builtins", "list", LAZY),
        ("builtins", "tuple", LAZY),
        ("builtins", "set", LAZY),
        ("builtins", "frozenset", LAZY),
        ("builtins", "dict", LAZY),
        ("collections", "OrderedDict", LAZY),
        ("collections", "Counter", LAZY),
        ("builtins", "list", RANGE),
        ("builtins", "bytearray", b"\x8a\x06\0\0\0\0\0\x01"),
        ("builtins", "bytes", b"\x8a\x06\0\0\0\0\0\x01"),
        ("builtins", "pow", b"K\xff", b"J\xff\xff\xff\x7f"),
    )
}

STATES = dictionary(__class__=SYSTEM, __setstate__=SYSTEM, __reduce__=SYSTEM, __dict__=b"}")
MODULE = name("net", "Net") + b")\x81"


def _nested_modules(count: int) -> bytes:
    """Modules of two modules that are the same one, and so on: 2**count in all."""
    inner = b"N"
    for index in range(count):
        memo = b"q%c" % index
        modules = dictionary(a=inner, b=b"h%c" % (index - 1) if index else b"N")
        inner = MODULE + dictionary(_parameters=b"}", _buffers=b"}", _modules=modules) + b"b" + memo
    return inner


INERT: dict[str, bytes] = CALLS | {
    "dotted name": stacked("os", "path.os.system") + b"(" + TOUCH + b"tR",
    "dotted storage": stacked("torch", "storage.UntypedStorage") + b")R",
    "name of an instance": b"(" + TOUCH + b"ios\nsystem\n",
    "object": b"(" + SYSTEM + TOUCH + b"o",
    "new object": SYSTEM + TOUCH + b"\x85\x81",
    "new object with names": SYSTEM + TOUCH + b"\x85" + dictionary(shell=b"\x88") + b"\x92",
    "call of a call": call("functools", "partial", SYSTEM, TOUCH) + b")R",
    "call of an attribute": call("builtins", "getattr", name("os", "path"), text("os")) + b")R",
    "call of a number": b"K\x01)R",
    "call of a text": TOUCH + b")R",
    "call without a tuple": SYSTEM + TOUCH + b"R",
    "call with itself": b"]q\xf0h\xf0ah\xf0R",
    "extension 1": b"\x82\x01" + TOUCH + b"\x85R",
    "extension 2": b"\x83\x01\x02" + TOUCH + b"\x85R",
    "extension 4": b"\x84\x01\x02\x03\x04" + TOUCH + b"\x85R",
    "state of a name": SYSTEM + STATES + b"b",
    "state of an object": MODULE + STATES + b"b",
    "state in slots": MODULE + b"N" + STATES + b"\x86b",
    "state twice": MODULE + STATES + b"b" + TOUCH + b"b",
    "state of a dict": b"}" + STATES + b"b" + RUN + b"b",
    "state of a type of numbers": call("numpy", "dtype", text("f4")) + b"(K\x03" + RUN * 7 + b"tb",
    "state of an array": call("numpy.core.multiarray", "_reconstruct") + b"(" + RUN * 5 + b"tb",
    "items of sys.modules": name("sys", "modules") + text("os") + b"Ns",
    "items of os.environ": name("os", "environ") + b"(" + text("PATH") + text("/") + b"u",
    "append to sys.path": name("sys", "path") + b")R" + TOUCH + b"a",
    "append to an object": MODULE + b"(" + TOUCH + RUN + b"e",
    "items of an object": MODULE + b"(" + TOUCH + RUN + b"u",
    "add to an object": MODULE + b"(" + TOUCH + RUN + b"\x90",
    "set of calls": b"\x8f(" + RUN + LAZY + b"\x90",
    "frozen set of calls": b"(" + RUN + LAZY + b"\x91",
    "keys that are calls": b"}(" + RUN + b"N" + LAZY + b"N" + b"u",
    "keys that cannot be hashed": b"}(]N}N" + b"u",
    "persistent text": b"Pos.system\n",
    "persistent call": RUN + b"Q",
    "persistent class": text("module") + SYSTEM + TOUCH + b"\x87Q" + TOUCH + b"\x85R",
    "persistent storage of a call": b"(" + text("storage") + RUN + text("9") * 2 + b"K\x01tQ",
    "persistent number": b"K\x01Q",
    "persistent tuple": b")Q",
    "list in itself": b"]q\xf0h\xf0a",
    "dict in itself": b"}q\xf0" + text("a") + b"h\xf0s",
    "object in itself": MODULE + b"q\xf0h\xf0b",
    "module in itself": MODULE + b"q\xf0"
    + dictionary(_parameters=b"}", _modules=dictionary(a=b"N")) + b"b",
    "high memo": b"Nr\xff\xff\xff\xff" + b"0Np4294967296\n0g4294967296\n",
    "deep lists": b"]" * 20_000 + b"a" * 19_999,
    "deep dicts": b"}" + b"K\x01}" * 20_000 + b"s" * 20_000,
    "deep calls": SYSTEM + b"q\xf0" + b"0" + b"h\xf0" * 20_000 + b")" + b"R" * 20_000,
    "old text": b"S'\\x41\\q'\n0V\\ud800\\u0041\n",
    "numbers as text": b"I01\n0I" + b"9" * 4000 + b"\n0L" + b"9" * 4000 + b"L\n0F1e999\n",
    "long numbers": b"\x8a\xff" + b"\xff" * 255 + b"0\x8b\0\x10\0\0" + b"\x7f" * 4096,
    "frame of no size": b"\x95\xff\xff\xff\xff\xff\xff\xff\xffN",
    "protocol 255": b"\x80\xffN",
    "rest on the stack": b"NNNN0000" + b"N",
}  # fmt: skip

BROKEN: dict[str, bytes] = {
    "modules without end": _nested_modules(60),
    "module that holds itself": MODULE + b"q\xf0"
    + dictionary(_parameters=b"}", _modules=dictionary(a=b"h\xf0")) + b"b",
    "tuples": b")" + b"\x85" * 501,
    "marks": b"(" * 501,
    "keys of 2**60 items": b"}" + b"N" + b"".join(b"q\xf0h\xf0\x86" for _ in range(60)) + b"Ns",
    "text of 4 GB": b"X\xff\xff\xff\xff",
    "text of 2**63 bytes": b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff",
    "bytes of 2**63 bytes": b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f",
    "bytearray of 2**63 bytes": b"\x96\xff\xff\xff\xff\xff\xff\xff\x7f",
    "bytes of 4 GB": b"B\xff\xff\xff\xff",
    "negative text": b"T\xff\xff\xff\xff",
    "negative number": b"\x8b\xff\xff\xff\xff",
    "number of 10,000 digits": b"I" + b"9" * 10_000 + b"\n",
    "number that is none": b"Ia\n",
    "text that is none": b"X\x01\0\0\0\xff",
    "text without quotes": b"Sa\n",
    "name without an end": b"cos",
    "name that is a number": b"K\x01K\x02\x93",
    "nothing to call": b"R" * 20,
    "nothing in the memo": b"g7777\n",
    "negative memo": b"g-1\n",
    "memo that is none": b"ga\n",
    "value without key": b"}(Nu",
    "append to a number": b"K\x01Na",
    "item of a list": b"]NNs",
    "buffers elsewhere": b"\x97",
    "buffers to be read only": b"\x98",
    "opcode that is none": b"\xff",
    "end": b"",
}  # fmt: skip


class Runs:
    """An object that runs a command when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        import os

        return os.system, (COMMAND,)


PROTOCOLS = {f"protocol {protocol}": pickle.dumps(Runs(), protocol) for protocol in range(6)}


def read_all(folder: Path) -> dict[str, Any]:
    """What becomes of each file, and what was done meanwhile, by the names of files."""
    from archc.weights import WeightsError, read_checkpoint

    files = sorted(folder.glob("*.pth"))
    events: list[str] = []
    is_reading = False

    def record(event: str, arguments: tuple[object, ...]) -> None:
        is_own = event == "open" and arguments[0] in opened
        if is_reading and not is_own and event not in HARMLESS:
            events.append(f"{file.name}: {event} {arguments[:1]!r}")

    found: dict[str, Any] = {}
    warm = folder / "warm.pth"
    read_checkpoint(warm)  # which imports what reading needs
    file, opened = warm, {str(warm)}
    sys.addaudithook(record)
    for file in files:
        opened = {str(file)}
        try:
            is_reading = True
            checkpoint = read_checkpoint(file)
            found[file.name] = [len(checkpoint.tensors), checkpoint.left_out]
        except WeightsError as error:
            found[file.name] = str(error)
        finally:
            is_reading = False
    return {"found": found, "events": events}


if __name__ == "__main__":
    print(json.dumps(read_all(Path(sys.argv[1]))))
