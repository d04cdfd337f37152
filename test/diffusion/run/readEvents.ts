/** A reader of event files that knows the format from its published description only. */
import assert from "node:assert/strict";

/** A field of a protocol buffer message: a number, or the bytes of a string or a message. */
export type Field = { readonly field: number; readonly value: number | Uint8Array };

/** All fields in order. */
export function readFields(bytes: Uint8Array): Field[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fields: Field[] = [];
  let at = 0;
  const varint = (): number => {
    let [value, factor] = [0, 1];
    for (;;) {
      const byte = view.getUint8(at++);
      value += (byte & 127) * factor;
      factor *= 128;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const key = varint();
    const field = key >>> 3;
    const type = key & 7;
    if (type === 0) fields.push({ field, value: varint() });
    else if (type === 1) {
      fields.push({ field, value: view.getFloat64(at, true) });
      at += 8;
    } else if (type === 5) {
      fields.push({ field, value: view.getFloat32(at, true) });
      at += 4;
    } else {
      assert.equal(type, 2, "wire type");
      const length = varint();
      assert.ok(at + length <= bytes.length, "a field reaches beyond its message");
      fields.push({ field, value: bytes.slice(at, at + length) });
      at += length;
    }
  }
  return fields;
}

/** The value of a field that is there once. */
export const only = (fields: readonly Field[], field: number): number | Uint8Array => {
  const found = fields.filter((each) => each.field === field);
  assert.equal(found.length, 1, `field ${field}`);
  return found[0]?.value ?? 0;
};
/** The fields of an embedded message. */
export const message = (value: number | Uint8Array): Field[] => {
  assert.ok(typeof value !== "number");
  return readFields(value);
};
export const text = (value: number | Uint8Array): string => {
  assert.ok(typeof value !== "number");
  return new TextDecoder().decode(value);
};

/** Records of a file, their checksums checked bit by bit without a table. */
export function readRecords(file: Uint8Array): Uint8Array[] {
  const bytes = Uint8Array.from(file);
  const masked = (data: Uint8Array): number => {
    let c = 0xffffffffn;
    for (const byte of data) {
      c ^= BigInt(byte);
      for (let bit = 0; bit < 8; bit++) c = c & 1n ? (c >> 1n) ^ 0x82f63b78n : c >> 1n;
    }
    c ^= 0xffffffffn;
    return Number((((c >> 15n) | (c << 17n)) + 0xa282ead8n) & 0xffffffffn);
  };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const records: Uint8Array[] = [];
  let at = 0;
  while (at < bytes.length) {
    const length = Number(view.getBigUint64(at, true));
    assert.equal(view.getUint32(at + 8, true), masked(bytes.subarray(at, at + 8)), "checksum of the length");
    const data = bytes.slice(at + 12, at + 12 + length);
    assert.equal(view.getUint32(at + 12 + length, true), masked(data), "checksum of the data");
    records.push(data);
    at += 16 + length;
  }
  return records;
}
