import io
import zipfile

import pytest

from keras_retinanet.system.archives import check_archive
from keras_retinanet.system.limits import MAX_ARCHIVE_MEMBERS


def archive_of(parts, method=zipfile.ZIP_STORED, change=None):
    """The bytes of an archive of (name, content) pairs, and the archive open for reading."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in parts:
            archive.writestr(name, content)
    content = bytearray(stream.getvalue())
    if change:
        change(content)
    return len(content), zipfile.ZipFile(io.BytesIO(content))


def directory_entry(content, offset, value, size=4):
    """Overwrite a field of the first member in an archive's directory."""
    start = content.index(b"PK\x01\x02") + offset
    content[start : start + size] = value.to_bytes(size, "little")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_usual_archives_pass(method):
    size, archive = archive_of([("a.json", b"{}" * 1000), ("folder/b", b"1"), ("c", b"")], method)
    check_archive(archive, size)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("parts", "method", "change", "text"),
    [
        ([("a", b"1"), ("a", b"2")], zipfile.ZIP_STORED, None, "'a' twice"),
        ([("../a", b"1")], zipfile.ZIP_STORED, None, "leads outside"),
        ([("x/../../a", b"1")], zipfile.ZIP_STORED, None, "leads outside"),
        ([("/a", b"1")], zipfile.ZIP_STORED, None, "leads outside"),
        ([("..\\a", b"1")], zipfile.ZIP_STORED, None, "leads outside"),
        ([("C:/a", b"1")], zipfile.ZIP_STORED, None, "leads outside"),
        ([("a", b"1")], zipfile.ZIP_LZMA, None, "stored or deflated"),
        ([("a", b"1")], zipfile.ZIP_STORED, lambda c: directory_entry(c, 8, 1, 2), "encrypted"),
        ([("a", bytes(2**25))], zipfile.ZIP_DEFLATED, None, "they would fill the memory"),
        # A directory that lies about the sizes: of the contents, and of what is stored.
        ([("a", b"1")], zipfile.ZIP_STORED, lambda c: directory_entry(c, 24, 2**32 - 2), "fill"),
        ([("a", b"1")], zipfile.ZIP_STORED, lambda c: directory_entry(c, 20, 10**6), "overlap"),
        (
            [(str(i), b"") for i in range(MAX_ARCHIVE_MEMBERS + 1)],
            zipfile.ZIP_STORED,
            None,
            "at most 1000 members, got 1001",
        ),
    ],
)
def test_refuses(parts, method, change, text):
    size, archive = archive_of(parts, method, change)
    with pytest.raises(ValueError, match=text):
        check_archive(archive, size)


def test_refuses_many_bombs_that_are_small_each():
    size, archive = archive_of(
        [(str(i), bytes(2**22)) for i in range(10)], method=zipfile.ZIP_DEFLATED
    )
    with pytest.raises(ValueError, match="got 41943040"):
        check_archive(archive, size)
