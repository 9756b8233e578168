"""What refusing hostile checkpoints takes: seconds and MB beyond `import torch`, a process each.

Run ``python benchmarks/hostile.py``; it prints the rows of docs/benchmarks.md.
"""

from __future__ import annotations

import io
import json
import os
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import torch

SIZE = 10_000_000
PROTOCOL = b"\x80\x02"


def archive(
    data: bytes = b"", parts: dict[str, bytes] | None = None, packed: bool = False
) -> bytes:
    """An archive as torch writes it, of a pickle and other parts."""
    file = io.BytesIO()
    how = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(file, "w", how) as opened:
        opened.writestr("archive/data.pkl", data)
        opened.writestr("archive/version", b"3\n")
        for name, content in (parts or {}).items():
            opened.writestr(f"archive/{name}", content)
    return file.getvalue()


def inflates() -> bytes:
    """4 GB of zeros in 4 MB."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("archive/data.pkl", b"\x80\x02}.")
        with opened.open("archive/data/0", "w", force_zip64=True) as part:
            for _ in range(4096):
                part.write(bytes(2**20))
    return file.getvalue()


def overlapping() -> bytes:
    """A thousand entries in the list of parts for the same megabyte."""
    content = archive(b"\x80\x02}.", {"data/0": bytes(2**20)})
    start = content.index(b"PK\x01\x02")
    end = content.index(b"PK\x05\x06")
    entries = content[start:end]
    last = entries[entries.rindex(b"PK\x01\x02") :]
    listed = entries + last * 1000
    record = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1003, 1003, len(listed), start, 0)
    return content[:start] + listed + record


def many_keys() -> bytes:
    """200,000 keys, a tensor each, of one storage."""
    number = torch.zeros(1)
    file = io.BytesIO()
    torch.save({f"layer{index}.weight": number[:] for index in range(200_000)}, file)
    return file.getvalue()


def many_parts() -> bytes:
    """100,000 parts, which nothing refers to."""
    return archive(b"\x80\x02}.", {f"data/{index}": b"" for index in range(100_000)})


def nested_key() -> bytes:
    """A tuple of two of a tuple of two, and so on, 60 levels deep, as the key of a dict."""
    doubled = b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(60))
    return archive(PROTOCOL + b"})" + doubled + b"Ns.")


def one_hash() -> bytes:
    """60,000 integers with one hash, as keys."""
    numbers = (number * (2**61 - 1) for number in range(60_000))
    items = b"".join(b"\x8a\x0a" + number.to_bytes(10, "little") + b"N" for number in numbers)
    return archive(PROTOCOL + b"}(" + items + b"u.")


def copies() -> bytes:
    """A list of 500,000 numbers, made into a set 50,000 times."""
    items = b"](" + b"K\x01" * 500_000 + b"e\x85q\x00"
    call = b"c__builtin__\nset\nh\x00R"
    return archive(PROTOCOL + items + call * 50_000 + b"N.")


def many_dots() -> bytes:
    """A key of a million parts."""
    return safetensors({"a" + ".a" * 1_000_000: _ONE})


_ONE = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


def safetensors(header: object) -> bytes:
    """A safetensors file of one number."""
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(4)


def long_header() -> bytes:
    """A header of 99 MB."""
    return safetensors({"__metadata__": {"note": "a" * 99_000_000}, "fc.bias": _ONE})


def much_metadata() -> bytes:
    """300,000 entries of metadata."""
    return safetensors({"__metadata__": {f"{i:x}": "" for i in range(300_000)}, "fc.bias": _ONE})


FILES: dict[str, Callable[[], bytes]] = {
    "4 MB that unpack to 4 GB": inflates,
    "1,000 parts on one another": overlapping,
    "100,000 parts": many_parts,
    "200,000 keys": many_keys,
    "10 million marks": lambda: archive(PROTOCOL + b"(" * SIZE + b"."),
    "10 million marks, before 1.6": lambda: PROTOCOL + b"(" * SIZE + b".",
    "10 million lists": lambda: archive(PROTOCOL + b"]" * SIZE + b"."),
    "10 million numbers": lambda: archive(PROTOCOL + b"N" * SIZE + b"."),
    "1 million tuples, nested": lambda: archive(PROTOCOL + b")" + b"\x85" * 1_000_000 + b"."),
    "a text of 100 MB": lambda: archive(
        PROTOCOL + b"X" + struct.pack("<I", 10**8) + b"a" * 10**8 + b"."
    ),
    "a text of 4 GB, said to be": lambda: archive(PROTOCOL + b"X\xff\xff\xff\xff" + b"a."),
    "a tuple of 2^60, as a key": nested_key,
    "60,000 keys with one hash": one_hash,
    "50,000 copies of a list": copies,
    "a bytearray of 10 GB": lambda: archive(
        PROTOCOL + b"c__builtin__\nbytearray\n\x8a\x05\x00\xe4\x0b\x54\x02\x85R."
    ),
    "a storage of 40 GB, before 1.6": lambda: _large_storage(),
    "a header of 99 MB": long_header,
    "300,000 entries of metadata": much_metadata,
    "a key of a million parts": many_dots,
}


def _large_storage() -> bytes:
    file = io.BytesIO()
    torch.save({"fc.bias": torch.zeros(3)}, file, _use_new_zipfile_serialization=False)
    return file.getvalue().replace(b"K\x03", b"\x8a\x05\x00\xe4\x0b\x54\x02", 1)


CHILD = r"""
import re, sys, time
import torch, safetensors.torch
import archc, archc.weights
from archc.weights import WeightsError
network = archc.load("torchvision/resnet50")
def held():
    status = open("/proc/self/status").read()  # the most; what getrusage has is the parent's, too
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024
before, start = held(), time.perf_counter()
try:
    archc.weights.weights_of(network, archc.weights.read_checkpoint(sys.argv[1]))
    said = "read"
except WeightsError as error:
    said = str(error).splitlines()[0].partition("error: ")[2]
print(f"{time.perf_counter() - start:.2f} | {held() - before:,.0f} | {said}")
"""


def main() -> None:
    """Print a row for each file, the honest one last."""
    honest = io.BytesIO()
    weights = {f"layer{i}.weight": torch.randn(50_000) for i in range(2_000)}
    torch.save({"model": weights}, honest)
    files = {**FILES, "honest: 2,000 tensors, 400 MB": honest.getvalue}
    print("| checkpoint | bytes | seconds | MB | what is said |")
    print("|---|---:|---:|---:|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, make in files.items():
            path = Path(folder, "net.safetensors" if make in _HEADERS else "net.pth")
            path.write_bytes(make())
            size = os.path.getsize(path)
            child = [sys.executable, "-c", CHILD, str(path)]
            done = subprocess.run(child, capture_output=True, text=True, check=False)
            row = done.stdout.strip() or f"| | {done.stderr.strip().splitlines()[-1]}"
            print(f"| {name} | {size:,} | {row} |", flush=True)
            path.unlink()


_HEADERS = (long_header, much_metadata, many_dots)

if __name__ == "__main__":
    main()
