"""What a stranger's file, folder or archive may hold: it is read or refused, in bounded memory."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import resource
import socket
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from promises import Promise

MEMORY_MIB = 900
SECONDS = 90
HOSTILE = Promise(
    "A hostile file, folder or archive is read or refused in one line, within 90 s and 900 MiB; "
    "no device or pipe is opened",
    quick=10,
    full=51,
)
# Reads as `zoo train --data` does before a training, in a process of its own.
READ = """
import sys
from zoo import files
from zoo.data.source import locate
from zoo.data.text import blocks
from zoo.errors import ZooError
from zoo_sentiment import reviews
from zoo_text.options import TextOptions
from zoo_text.tables import load_table, looks_like_table

def tables(path):
    looks_like_table(path)
    return load_table(path, TextOptions(), 1)

def archive(path):
    return reviews.may_be_imdb(path) and reviews.read(path)

def text(path):
    for block in blocks(path): pass

name = sys.argv[1].encode().decode("unicode_escape").encode("latin-1")
is_read = False
for read in (tables, archive, text, files.digest):
    if read is files.digest and not is_read:
        break
    try:
        is_read |= read(locate(name.decode("utf-8", "surrogateescape"), None)) is not False
    except ZooError as error:
        assert "\\n" not in str(error), error
# Not that of getrusage, which has the memory of the parent before exec.
status = open("/proc/self/status").read().split()
print(int(status[status.index("VmHWM:") + 1]) // 1024)
"""

Maker = Callable[[Path], Path]


def labelled(folder: Path) -> Path:
    """Make a folder of texts, which the cases add to."""
    for label in ("good", "bad"):
        (folder / label).mkdir(parents=True)
        for n in range(12):
            (folder / label / f"{n}.txt").write_text(f"a {label} text {n}")
    return folder


def in_folder(add: Callable[[Path], object]) -> Maker:
    def make(folder: Path) -> Path:
        add(labelled(folder / "texts") / "good")
        return folder / "texts"

    return make


def in_imdb(add: Callable[[Path], object]) -> Maker:
    def make(folder: Path) -> Path:
        for name in ("train/pos/1_7", "train/neg/1_3", "test/pos/1_7", "test/neg/1_3"):
            file = folder / "imdb" / f"{name}.txt"
            file.parent.mkdir(parents=True)
            file.write_text(f"text of {name}")
        add(folder / "imdb" / "train" / "pos" / "2_7.txt")
        return folder / "imdb"

    return make


def content(name: str, *parts: bytes, times: int = 1) -> Maker:
    """Make a file of parts, the last of which is repeated."""

    def make(folder: Path) -> Path:
        path = folder / name
        openers: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
        with openers.get(path.suffix, open)(path, "wb") as file:
            for part in parts[:-1]:
                file.write(part)
            for _ in range(times):
                file.write(parts[-1])
        return path

    return make


def made(path: Path, *steps: Callable[[], object]) -> Path:
    for step in steps:
        step()
    return path


def bound(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # The name of a socket may have 100 characters.
    try:
        socket.socket(socket.AF_UNIX).bind(path.name)
    finally:
        os.chdir(here)


def sparse(path: Path, start: bytes = b"") -> Path:
    path.write_bytes(start)
    os.truncate(path, 1 << 36)
    return path


def member(
    name: str, data: bytes = b"a text", **attributes: object
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in attributes.items():
        setattr(info, key, value)
    return info, data


def archive(*further: tuple[tarfile.TarInfo, bytes], mode: str = "w:gz", end: bytes = b"") -> Maker:
    def make(folder: Path) -> Path:
        path = folder / "reviews.tar.gz"
        with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
            for info, data in [
                member("a/train/pos/1_7.txt"), member("a/train/neg/1_3.txt"),
                member("a/test/pos/1_7.txt"), member("a/test/neg/1_3.txt"), *further,
            ]:  # fmt: skip
                tar.addfile(info, io.BytesIO(data))
        if end:
            path.write_bytes(end)
        return path

    return make


def header_only(size: int, kind: bytes = b"0") -> Maker:
    """Make an archive whose member says that it has ``size`` bytes, all of them zeros."""

    def make(folder: Path) -> Path:
        info = tarfile.TarInfo("a/train/pos/1_7.txt")
        info.size, info.type = size, kind
        path = folder / "reviews.tar.gz"
        with gzip.open(path, "wb", 1) as file:
            file.write(info.tobuf(tarfile.GNU_FORMAT))
            for _ in range(min(size, 1 << 26) >> 20):
                file.write(bytes(1 << 20))
        return path

    return make


def holes(folder: Path) -> Path:
    """Make an archive of a sparse file of GNU tar: 64 GiB in 512 bytes."""
    info = tarfile.TarInfo("a/train/pos/1_7.txt")
    info.size, info.type = 0, tarfile.GNUTYPE_SPARSE
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    block[386:410] = b"%011o\0%011o\0" % (0, 0)
    block[483:495] = b"%011o\0" % (1 << 32)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    path = folder / "reviews.tar"
    path.write_bytes(bytes(block) + bytes(1024))
    return path


def many_keys(folder: Path) -> Path:
    path = folder / "table.jsonl"
    rows = [json.dumps({str(n): 1}) for n in range(999)] + ["{}"] * 300_000
    path.write_text("\n".join(rows))
    return path


def parquet(rows: int, value: str) -> Maker:
    """Make a Parquet file in which a text is kept once, and referred to."""

    def make(folder: Path) -> Path:
        pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        index = pa.array([0] * rows, pa.int32())
        texts = pa.DictionaryArray.from_arrays(index, pa.array([value]))
        labels = pa.array(["a", "b"] * (rows // 2))
        path: Path = folder / "table.parquet"
        pq.write_table(pa.table({"text": texts, "label": labels}), path, compression="zstd")
        return path

    return make


def feather(folder: Path) -> Path:
    pa, write = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.feather").write_feather
    path = folder / "table.feather"
    write(pa.table({"text": [" " * (1 << 20)] * 1000}), path, compression="zstd")
    return path


def at(path: str) -> Maker:
    return lambda folder: Path(path)


def bytes_named(name: bytes) -> Callable[[Path], object]:
    return lambda folder: Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_text("a text")


def folder_named(name: bytes) -> Callable[[Path], object]:
    def add(folder: Path) -> None:
        label = Path(os.fsdecode(os.fsencode(folder.parent) + b"/" + name))
        label.mkdir()
        (label / "1.txt").write_text("a text")

    return add


ROWS = b"text,label\n"
LONG_ROWS = (b"a text " * 1000 + b",a\n") * 150
SECOND = "a/train/pos/2_7.txt"
CASES: dict[str, Maker] = {
    # In an order of which the first ones, which `make test` tries, are of every kind.
    "pipe as data": lambda f: made(f / "p.csv", lambda: os.mkfifo(f / "p.csv")),
    "endless device": at("/dev/zero"),
    "pipe among texts": in_folder(lambda folder: os.mkfifo(folder / "pipe.txt")),
    "link to an endless device": in_folder(lambda f: (f / "zero.txt").symlink_to("/dev/zero")),
    "pipe among reviews": in_imdb(lambda path: os.mkfifo(path)),
    "device among reviews": in_imdb(lambda path: path.symlink_to("/dev/zero")),
    "hole of 64 GiB among reviews": in_imdb(sparse),
    "review that becomes 1 GiB": header_only(1 << 30),
    "sparse member": holes,
    "header of 64 MiB": header_only(1 << 26, tarfile.XHDTYPE),
    "zeros in gzip": content("table.csv.gz", ROWS, bytes(1 << 20), times=120),
    "rows in gzip": content("table.csv.gz", ROWS, b"a text,a\n" * 100_000, times=120),
    "nested JSON": content("table.json", b"[" * 100_000),
    "few rows with many keys": many_keys,
    "name of 5,000 digits": archive(member("a/train/pos/" + "1" * 5000 + "_7.txt")),
    "dictionary of one text in Parquet": parquet(20_000, "a text " * 100_000),
    "socket": in_folder(lambda folder: bound(folder / "s.txt")),
    "terminal": at("/dev/tty"),
    "random device": at("/dev/urandom"),
    "link to a pipe": in_folder(
        lambda f: made(
            f / "p.txt",
            lambda: os.mkfifo(f.parent.parent / "p"),
            lambda: (f / "p.txt").symlink_to(f.parent.parent / "p"),
        )
    ),
    "link to itself": in_folder(lambda folder: (folder / "l.txt").symlink_to("l.txt")),
    "link to nothing": in_folder(lambda folder: (folder / "l.txt").symlink_to("nothing")),
    "link to the folder around": in_folder(lambda folder: (folder / "up").symlink_to("..")),
    "folder that has itself": lambda f: made(
        f / "a", (f / "a").mkdir, lambda: (f / "a" / "a").symlink_to(".")
    ),
    "name that is no UTF-8": in_folder(bytes_named(b"\xff\xfe.txt")),
    "folder that is no UTF-8": in_folder(folder_named(b"\xff\xfe")),
    "path that is no UTF-8": lambda folder: Path(os.fsdecode(os.fsencode(folder) + b"/\xff.csv")),
    "path with NUL": at("a\0b"),
    "path of 100,000 characters": at("a" * 100_000),
    "path through a file": lambda f: made(f / "f" / "g", lambda: (f / "f").write_text("a")),
    "folder named as a table": lambda f: made(f / "t.csv", (f / "t.csv").mkdir),
    "hole of 64 GiB among texts": in_folder(lambda folder: sparse(folder / "hole.txt")),
    "table that is a hole": lambda folder: sparse(folder / "table.csv"),
    "table that ends in a hole": lambda f: sparse(f / "t.csv", ROWS + b"a text,a\n" * 20_000),
    "zeros in bzip2": content("table.csv.bz2", ROWS, bytes(1 << 20), times=120),
    "zeros in xz": content("table.csv.xz", ROWS, bytes(1 << 20), times=120),
    "rows in xz": content("table.csv.xz", ROWS, b"a text,a\n" * 100_000, times=120),
    "a line of 80 MB": content("table.csv", ROWS, b"a" * (1 << 20), times=80),
    "a quote that is not closed": content("t.csv", ROWS + b'"', LONG_ROWS, times=80),
    "a number of 5,000 digits": content(
        "t.jsonl", b'{"text": "a", "label": ' + b"1" * 5000 + b"}\n", times=40
    ),
    "objects in JSON, nested": content("table.json", b'[{"a":' * 100_000),
    "zeros in Feather": feather,
    "rows in Parquet": parquet(17_000_000, "a"),
    "link member": archive(member(SECOND, b"", type=tarfile.SYMTYPE, linkname="/etc/passwd")),
    "hard link member": archive(member(SECOND, b"", type=tarfile.LNKTYPE, linkname="x")),
    "device member": archive(member(SECOND, b"", type=tarfile.CHRTYPE)),
    "absolute member": archive(member("/train/pos/2_7.txt")),
    "member of a folder above": archive(member("../../train/pos/2_7.txt")),
    "one review twice": archive(member("b/train/pos/1_7.txt")),
    "100,000 members": archive(*[member("x", b"")] * 100_000),
    "archive that is cut": archive(end=b"\x1f\x8b\x08\0"),
}  # fmt: skip


def limited() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))


@pytest.mark.skipif(sys.platform != "linux", reason="devices and limits of Linux")
@pytest.mark.parametrize("name", list(CASES)[: HOSTILE.cases])
def test_what_is_hostile_ends_in_one_line(name: str, tmp_path: Path) -> None:
    path = CASES[name](tmp_path)
    # An argument of a process has no NUL.
    argument = os.fsencode(path).decode("latin-1").encode("unicode_escape").decode()
    done = subprocess.run(
        [sys.executable, "-c", READ, argument], capture_output=True, text=True, timeout=SECONDS,
        stdin=subprocess.DEVNULL, preexec_fn=limited, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) < MEMORY_MIB


def test_all_cases_are_declared() -> None:
    assert len(CASES) == HOSTILE.full
