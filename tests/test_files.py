from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boute.errors import DataError, InputError, OutputError
from boute.files import make_folder, read_bytes, read_text, sha256_of, write_bytes, write_text

ROOT = Path(__file__).resolve().parents[1]

# A limit on the size of files stands for a disk that fills up while a file is written. The
# signal that comes with it is ignored, as Python does with SIGPIPE, so that it is an error.
FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from boute.errors import OutputError
from boute.files import write_bytes
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write_bytes(Path(sys.argv[1]), b"new" * 100_000)
except OutputError as error:
    print(error)
    sys.exit(error.exit_code)
"""


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fill_the_disk(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_file_is_written_with_its_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "plan.yaml"
    write_text(path, "größe: 1\n")
    assert path.read_bytes() == "größe: 1\n".encode()
    assert names_in(path.parent) == ["plan.yaml"]


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    write_bytes(path, b"a long first version")
    write_bytes(path, b"short")
    assert path.read_bytes() == b"short"
    assert names_in(tmp_path) == ["plan.yaml"]


def test_a_full_disk_leaves_no_new_file(tmp_path: Path) -> None:
    done = fill_the_disk(tmp_path / "front.json")
    assert done.returncode == 2, done.stderr
    assert done.stdout.startswith(f"{tmp_path / 'front.json'}: cannot be written: file too large")
    assert names_in(tmp_path) == []


def test_a_full_disk_leaves_the_old_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "front.json"
    path.write_bytes(b"old")
    assert fill_the_disk(path).returncode == 2
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == ["front.json"]


def test_an_interrupt_while_writing_leaves_no_remains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(handle: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_bytes(tmp_path / "front.json", b"new")
    assert names_in(tmp_path) == []


def test_a_folder_in_the_way_is_an_error_and_stays(tmp_path: Path) -> None:
    (tmp_path / "front.json").mkdir()
    with pytest.raises(OutputError, match=r"front\.json: cannot be written: is a directory"):
        write_bytes(tmp_path / "front.json", b"new")
    assert names_in(tmp_path) == ["front.json"]


def test_a_file_in_the_way_of_a_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot be written"):
        write_bytes(tmp_path / "out" / "front.json", b"new")
    with pytest.raises(OutputError, match="out: cannot be written: file exists"):
        make_folder(tmp_path / "out")


@pytest.mark.parametrize("name", ["x" * 300, "a\0b"])
def test_a_name_that_no_file_can_have_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        write_bytes(tmp_path / name, b"")
    with pytest.raises(OutputError, match="cannot be written"):
        make_folder(tmp_path / name)
    with pytest.raises(DataError, match="cannot be read"):
        read_bytes(tmp_path / name, error=DataError)
    assert names_in(tmp_path) == []


def test_the_longest_name_of_a_file_can_be_written(tmp_path: Path) -> None:
    write_bytes(tmp_path / ("x" * 255), b"")
    assert names_in(tmp_path) == ["x" * 255]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_permissions_follow_the_umask(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        write_bytes(tmp_path / "plan.yaml", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "plan.yaml").stat().st_mode) == mode


def test_make_folder_makes_parents_and_leaves_nothing_in_it(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "a" / "b")
    assert folder.is_dir()
    assert names_in(folder) == []
    assert make_folder(folder) == folder


def test_text_is_read_without_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbfmodels: []\n")
    assert read_text(tmp_path / "a") == "models: []\n"


def test_text_that_is_not_utf8_names_the_byte(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes("größe".encode("latin-1"))
    with pytest.raises(DataError, match=r"latin: is not UTF-8 \(byte 2\); save it as UTF-8"):
        read_text(tmp_path / "latin", error=DataError)
    (tmp_path / "wide").write_bytes("models".encode("utf-16"))
    with pytest.raises(InputError, match="is not UTF-8"):
        read_text(tmp_path / "wide")


def test_a_missing_file_and_a_folder_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none: cannot be read: no such file or directory"):
        read_bytes(tmp_path / "none", error=DataError)
    with pytest.raises(InputError, match="cannot be read: is a directory"):
        read_text(tmp_path)


@given(st.lists(st.binary(max_size=4), max_size=4), st.lists(st.binary(max_size=4), max_size=4))
def test_a_hash_tells_lists_of_parts_apart(a: list[bytes], b: list[bytes]) -> None:
    assert (sha256_of(*a) == sha256_of(*b)) == (a == b)


def test_text_is_hashed_as_utf8() -> None:
    assert sha256_of("größe", b"x") == sha256_of("größe".encode(), "x")
