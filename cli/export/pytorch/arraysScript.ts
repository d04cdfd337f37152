/** `arrays.py` of an exported run: safetensors files, read and written whole or not at all. */
export const arraysScript = String.raw`"""Arrays by name in safetensors files. Files are written whole, or not at all."""

import json
import os

import numpy

DTYPES = {"F32": "<f4", "F16": "<f2", "I32": "<i4", "U8": "|u1"}


def read_header(path):
    """What a file holds: where its data begin, its arrays and its metadata."""
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > size - 8:
            raise ValueError(f"{path}: is damaged or no safetensors file: its header has {length} bytes, the file {size}")
        header = json.loads(file.read(length))
    metadata = header.pop("__metadata__", {})
    end = max((entry["data_offsets"][1] for entry in header.values()), default=0)
    if 8 + length + end != size:
        raise ValueError(f"{path}: is damaged: it has {size} bytes, its header tells of {8 + length + end}")
    return 8 + length, header, metadata


def read_arrays(path):
    """The arrays of a file, which are read when they are looked at, and its metadata."""
    start, header, metadata = read_header(path)
    arrays = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        if begin == end:
            arrays[name] = numpy.zeros(entry["shape"], DTYPES[entry["dtype"]])
        else:
            shape = tuple(entry["shape"])
            arrays[name] = numpy.memmap(path, DTYPES[entry["dtype"]], "r", start + begin, shape)
    return arrays, metadata


def write_arrays(path, arrays, dtype, metadata):
    """Writes arrays of floats as dtype: F32 or F16. Asks for one after the other."""
    header = {"__metadata__": metadata}
    end = 0
    for name, array in arrays.items():
        begin, end = end, end + numpy.dtype(DTYPES[dtype]).itemsize * int(numpy.prod(array.shape, dtype=numpy.int64))
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with whole(path) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in arrays.values():
            # A number outside the range of 16 bits becomes infinite.
            with numpy.errstate(over="ignore"):
                data = array.detach().cpu().numpy().astype(DTYPES[dtype])
            file.write(data.tobytes())


class whole:
    """A file that takes its name when all is written."""

    def __init__(self, path):
        self.path = path
        name = f".evenkeel-{os.urandom(8).hex()}.partial"
        self.partial = os.path.join(os.path.dirname(path), name)

    def __enter__(self):
        self.file = open(self.partial, "wb")
        return self.file

    def __exit__(self, kind, *_):
        if kind is None:
            self.file.flush()
            os.fsync(self.file.fileno())
        self.file.close()
        if kind is None:
            os.replace(self.partial, self.path)
        else:
            os.remove(self.partial)
`;
