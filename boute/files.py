"""Reading and writing files: whole or not at all, and errors that name the file."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import tempfile
from pathlib import Path

from boute.errors import InputError, OutputError

__all__ = ["make_folder", "read_bytes", "read_text", "sha256_of", "write_bytes", "write_text"]


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 to `path`, whole or not at all; raise OutputError."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, data: bytes) -> None:
    """Write through a temporary file, fsync and rename; raise OutputError and leave no remains."""
    # A part of the name tells whose it is; all of it could make the name too long.
    temporary = path.parent / f".{path.name[:40]}.{secrets.token_hex(8)}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except (OSError, ValueError) as error:
        raise _output_error(path, error) from error
    finally:
        with contextlib.suppress(OSError, ValueError):
            temporary.unlink(missing_ok=True)


def make_folder(path: Path) -> Path:
    """Make a folder and its parents, and say that it is writable; raise OutputError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except (OSError, ValueError) as error:
        raise _output_error(path, error) from error
    return path


def read_bytes(path: Path, *, error: type[InputError] = InputError) -> bytes:
    """Read a file; raise `error` when it cannot be read."""
    try:
        return path.read_bytes()
    except (OSError, ValueError) as problem:
        reason = _reason(problem)
        raise error(f"cannot be read: {reason}", where=str(path), mend="check the path") from None


def read_text(path: Path, *, error: type[InputError] = InputError) -> str:
    """Read a UTF-8 file; raise `error` when it cannot be read or is not UTF-8."""
    try:
        return read_bytes(path, error=error).decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise error(
            f"is not UTF-8 (byte {problem.start})", where=str(path), mend="save it as UTF-8"
        ) from None


def sha256_of(*parts: bytes | str) -> str:
    """Hash of the parts in order, as hexadecimal; each part is framed by its length."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def _output_error(path: Path, error: OSError | ValueError) -> OutputError:
    mend = "free space or choose another place"
    return OutputError(f"cannot be written: {_reason(error)}", where=str(path), mend=mend)


def _reason(error: OSError | ValueError) -> str:
    """The system's words; a ValueError is a path that no file can have, as one with a NUL."""
    return str(getattr(error, "strerror", None) or error).lower()
