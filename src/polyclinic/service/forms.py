"""The files of a form, read as they arrive, each held in memory once and never on disk."""

import io
from collections.abc import AsyncIterable

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from polyclinic.core.errors import InvalidInput

FIELD = "file"
_REMEDY = f"Send each picture as a file in the form field `{FIELD}`: curl -F {FIELD}=@picture.png"


async def read_form(
    content_type: str, chunks: AsyncIterable[bytes], *, max_files: int
) -> list[bytes]:
    """The files of a form (RFC 7578), in order; all are to stand in the field `FIELD`.

    Raises `InvalidInput`: for no file, and as soon as one more than `max_files` begins.
    """
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise _refusal("The content type names no boundary.", "header Content-Type")
    form = _Form(max_files)
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": form.begin,
                "on_header_field": form.header_name,
                "on_header_value": form.header_value,
                "on_header_end": form.header_end,
                "on_headers_finished": form.headers_finished,
                "on_part_data": form.content,
                "on_part_end": form.end,
            },
        )
        async for chunk in chunks:
            parser.write(chunk)
        parser.finalize()
    except FormParserError:
        raise _refusal("The form cannot be read.", "body") from None
    if not form.files:
        raise _refusal("No file was sent.", f"form field {FIELD}")
    return form.files


class _Form:
    """What the parser's events tell, in the order in which it tells them."""

    def __init__(self, max_files: int) -> None:
        self.files: list[bytes] = []
        self._max_files = max_files

    def begin(self) -> None:
        self._name = self._value = self._disposition = b""
        self._content = io.BytesIO()

    def header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = self._value
        self._name = self._value = b""

    def headers_finished(self) -> None:
        options = parse_options_header(self._disposition)[1]
        field = options.get(b"name", b"").decode(errors="replace")
        if field != FIELD or b"filename" not in options:
            raise _refusal(
                f"Only files in the field `{FIELD}` are read here.", f"form field {field}"
            )
        if len(self.files) == self._max_files:
            raise _refusal(f"More than {self._max_files} files were sent.", "body")

    def content(self, data: bytes, start: int, end: int) -> None:
        self._content.write(memoryview(data)[start:end])

    def end(self) -> None:
        self.files.append(self._content.getvalue())  # which is not copied


def _refusal(detail: str, where: str) -> InvalidInput:
    return InvalidInput(detail, where=where, remedy=_REMEDY)
