/** Bytes that are enough to tell how many there are to be. */
const headBytes = 64;

/**
 * Unpacks what gzip packed, and stops where it is more than its beginning says.
 * @param sizeOf how many bytes there may be, by the first 64 or all; what it throws is thrown on.
 * @throws Error that says what is wrong: damage, or more bytes.
 */
export async function gunzip(packed: Uint8Array, sizeOf: (head: Uint8Array) => number): Promise<Uint8Array> {
  let head: Uint8Array = new Uint8Array(0);
  let whole: Uint8Array | null = null;
  let length = 0;
  const begin = (): Uint8Array => {
    const size = sizeOf(head);
    // Deflate packs no more than 1032 bytes into one.
    if (size > 1032 * packed.length) throw new Error(`${packed.length} bytes can't unpack to ${size}`);
    return new Uint8Array(size);
  };
  const add = (to: Uint8Array, piece: Uint8Array): void => {
    if (length + piece.length > to.length) throw new Error(`it unpacks to more than ${to.length} bytes`);
    to.set(piece, length);
    length += piece.length;
  };
  for await (const piece of piecesOf(packed)) {
    if (whole !== null) add(whole, piece);
    else {
      head = joined(head, piece);
      if (head.length >= headBytes) add((whole = begin()), head);
    }
  }
  if (whole === null) add((whole = begin()), head);
  return whole.subarray(0, length);
}

async function* piecesOf(packed: Uint8Array): AsyncGenerator<Uint8Array> {
  const unpacked = new Blob([new Uint8Array(packed)]).stream().pipeThrough(new DecompressionStream("gzip"));
  const reader: ReadableStreamDefaultReader<Uint8Array> = unpacked.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    // That of a stream which failed fails once more.
    await reader.cancel().catch(() => undefined);
  }
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
