"""Zip archives that nobody vouches for: checked before anything in them is read."""

import zipfile
from pathlib import PurePosixPath

from keras_retinanet.system.limits import (
    MAX_ARCHIVE_MEMBERS,
    MAX_EXPANSION,
    MIN_CONTENTS_BYTES,
)

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 1  # in the flags of a member


def check_archive(archive: zipfile.ZipFile, file_bytes: int) -> None:
    """Check what an archive, such as a `.keras` or `.npz` file, says of its members.

    Reading a member returns no more bytes than it declares, so after this check it is safe.

    Args:
        archive: the archive.
        file_bytes: size of its file.

    Raises:
        ValueError: if there are too many members, or one is named twice, lies outside the archive,
            is encrypted or compressed in an unusual way; or if they declare more bytes than a
            file of this size can hold.
    """
    members = archive.infolist()
    if len(members) > MAX_ARCHIVE_MEMBERS:
        raise ValueError(
            f"expected an archive of at most {MAX_ARCHIVE_MEMBERS} members, got {len(members)}"
        )
    seen = set()
    for member in members:
        name = member.filename
        if name in seen:
            raise ValueError(f"the archive holds {name!r} twice")
        seen.add(name)
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in name:
            raise ValueError(f"the archive holds {name!r}, which leads outside it")
        if member.flag_bits & _ENCRYPTED or member.compress_type not in _METHODS:
            raise ValueError(
                f"expected archive members that are stored or deflated, got {name!r}, encrypted "
                "or compressed in another way"
            )
    stored = sum(member.compress_size for member in members)
    declared = sum(member.file_size for member in members)
    if stored > file_bytes:
        raise ValueError(
            f"the members of the archive take {stored} bytes, more than the {file_bytes} of the "
            "file: it is truncated, or they overlap"
        )
    check_expansion(declared, file_bytes)


def check_expansion(declared: int, file_bytes: int) -> None:
    """Raise ValueError if a file declares more bytes of contents than it can hold."""
    limit = max(MIN_CONTENTS_BYTES, MAX_EXPANSION * file_bytes)
    if declared > limit:
        raise ValueError(
            f"expected contents of at most {limit} bytes in a file of {file_bytes}, got "
            f"{declared}: they would fill the memory"
        )
