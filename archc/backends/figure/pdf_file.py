"""Objects as a PDF file (ISO 32000-1): without a date or a program's name, the same every time."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence

from archc.backends.figure.pen import escape
from archc.dataclassing import dataclass


@dataclass(frozen=True, slots=True)
class Stream:
    """Bytes with what its dictionary says besides their length; deflated unless ``is_plain``."""

    entries: str
    data: bytes
    is_plain: bool = False


def ref(number: int) -> str:
    """A reference to the object of this number, counted from 1."""
    return f"{number} 0 R"


def text_string(text: str) -> str:
    """Text for readers, in UTF-16 with its mark."""
    return f"<FEFF{text.encode('utf-16-be', 'replace').hex().upper()}>"


def pdf_file(objects: Sequence[str | Stream], trailer: str) -> bytes:
    """The file of these objects; ``trailer`` has the entries that name the root and the record.

    Its id is a hash of what the streams hold: deflated, they may differ between versions of zlib.
    """
    digest = hashlib.sha256(trailer.encode())
    out = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    places = []
    for number, held in enumerate(objects, start=1):
        places.append(len(out))
        digest.update(held.encode() if isinstance(held, str) else held.data)
        out += b"%d 0 obj\n%b\nendobj\n" % (number, _body(held))
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(places) + 1)
    out += b"".join([b"%010d 00000 n \n" % place for place in places])
    id = digest.hexdigest()[:32].upper()
    last = f"<< /Size {len(places) + 1} {trailer} /ID [<{id}> <{id}>] >>"
    out += f"trailer\n{last}\nstartxref\n{table}\n%%EOF\n".encode()
    return bytes(out)


def _body(held: str | Stream) -> bytes:
    if isinstance(held, str):
        return held.encode("ascii")
    data, entries = held.data, held.entries
    if not held.is_plain:
        data, entries = zlib.compress(data, 9), f"{entries} /Filter /FlateDecode"
    head = f"<< {entries} /Length {len(data)} >>".encode("ascii")
    return head + b"\nstream\n" + data + b"\nendstream"


def metadata(title: str) -> Stream:
    """The title as XMP metadata, uncompressed, for programs that do not parse PDF."""
    packet = (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">\n'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\n'
        '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/">\n'
        "<dc:format>application/pdf</dc:format>\n"
        f'<dc:title><rdf:Alt><rdf:li xml:lang="x-default">{escape(title)}</rdf:li></rdf:Alt>'
        "</dc:title>\n"
        "<dc:language><rdf:Bag><rdf:li>en</rdf:li></rdf:Bag></dc:language>\n"
        "</rdf:Description>\n</rdf:RDF>\n</x:xmpmeta>\n"
        '<?xpacket end="w"?>'
    )
    return Stream("/Type /Metadata /Subtype /XML", packet.encode(), is_plain=True)
