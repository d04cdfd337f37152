/**
 * The checksum of zip archives: CRC-32 (polynomial 0xedb88320, reflected), eight bytes at a time. Source: ISO 3309; M. Kounavis and F.
 * Berry, "A Systematic Approach to Building High Performance Software-Based CRC Generators" (2005).
 */

/** Table k, at 256 k: what a byte does to the checksum when k bytes come behind it. */
const tables = makeTables();

function makeTables(): Uint32Array {
  const made = new Uint32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
    made[byte] = crc;
  }
  for (let at = 256; at < made.length; at++) {
    const before = made[at - 256] ?? 0;
    made[at] = (made[before & 255] ?? 0) ^ (before >>> 8);
  }
  return made;
}

/**
 * The checksum of bytes, or of those before (whose checksum is `before`) and these. Unsigned.
 * @example console.log(crc32(new TextEncoder().encode("123456789")).toString(16)); // cbf43926
 */
export function crc32(bytes: Uint8Array, before = 0): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let crc = ~before;
  let at = 0;
  for (; at + 8 <= bytes.length; at += 8) {
    crc = behindFour(crc ^ view.getInt32(at, true), 4) ^ behindFour(view.getInt32(at + 4, true), 0);
  }
  // Within the arrays, so never undefined; 0 is for the compiler.
  for (; at < bytes.length; at++) crc = (tables[(crc ^ (bytes[at] ?? 0)) & 255] ?? 0) ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** What four bytes do to the checksum when so many more come behind them. */
function behindFour(four: number, more: number): number {
  const table = more << 8;
  return (
    (tables[table + 768 + (four & 255)] ?? 0) ^
    (tables[table + 512 + ((four >>> 8) & 255)] ?? 0) ^
    (tables[table + 256 + ((four >>> 16) & 255)] ?? 0) ^
    (tables[table + (four >>> 24)] ?? 0)
  );
}
