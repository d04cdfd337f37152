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

/** The checksum of bytes, or of those before (whose checksum is `before`) and these. Unsigned. */
export function crc32(bytes: Uint8Array, before = 0): number {
  // Within the arrays, so never undefined; 0 is for the compiler.
  const byte = (at: number): number => bytes[at] ?? 0;
  const table = (behind: number, value: number): number => tables[(behind << 8) | (value & 255)] ?? 0;
  let crc = ~before;
  let at = 0;
  for (; at + 8 <= bytes.length; at += 8) {
    crc ^= byte(at) | (byte(at + 1) << 8) | (byte(at + 2) << 16) | (byte(at + 3) << 24);
    crc =
      table(7, crc) ^
      table(6, crc >>> 8) ^
      table(5, crc >>> 16) ^
      table(4, crc >>> 24) ^
      table(3, byte(at + 4)) ^
      table(2, byte(at + 5)) ^
      table(1, byte(at + 6)) ^
      table(0, byte(at + 7));
  }
  for (; at < bytes.length; at++) crc = table(0, crc ^ byte(at)) ^ (crc >>> 8);
  return ~crc >>> 0;
}
