import { open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileSystemError } from "../../engine/io/node.ts";

/**
 * TensorBoard's event files: records of length, its checksum, a protocol buffer, its checksum. Only the messages and fields that
 * scalars and pictures take are written.
 */

const crcTable = Uint32Array.from({ length: 256 }, (_, i) => {
  let c = i;
  for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1;
  return c;
});

/** CRC-32C (Castagnoli) of bytes. */
export function crc32c(bytes: Uint8Array): number {
  let c = 0xffffffff;
  for (const byte of bytes) c = (crcTable[(c ^ byte) & 255] ?? 0) ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}

/** The checksum as records have it: turned and shifted, so that checksums of checksums don't coincide. */
export function maskedCrc(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** A record: bytes with their length and checksums. */
export function frameRecord(data: Uint8Array): Uint8Array {
  const record = new Uint8Array(16 + data.length);
  const view = new DataView(record.buffer);
  view.setBigUint64(0, BigInt(data.length), true);
  view.setUint32(8, maskedCrc(record.subarray(0, 8)), true);
  record.set(data, 12);
  view.setUint32(12 + data.length, maskedCrc(data), true);
  return record;
}

/** What a summary holds: a number, or a picture as PNG. */
export type SummaryValue =
  | { readonly kind: "scalar"; readonly tag: string; readonly value: number }
  | {
      readonly kind: "image";
      readonly tag: string;
      readonly png: Uint8Array;
      readonly width: number;
      readonly height: number;
    };

/** Wire types of protocol buffers. */
const wire = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/** A message under construction, field by field. */
class Message {
  readonly #parts: Uint8Array[] = [];

  #varint(value: bigint): void {
    const bytes: number[] = [];
    let rest = value;
    while (rest > 127n) {
      bytes.push(Number(rest & 127n) | 128);
      rest >>= 7n;
    }
    this.#parts.push(Uint8Array.of(...bytes, Number(rest)));
  }

  #key(field: number, type: number): void {
    this.#varint(BigInt((field << 3) | type));
  }

  integer(field: number, value: number): this {
    this.#key(field, wire.varint);
    this.#varint(BigInt(value));
    return this;
  }

  double(field: number, value: number): this {
    this.#key(field, wire.fixed64);
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setFloat64(0, value, true);
    this.#parts.push(bytes);
    return this;
  }

  float(field: number, value: number): this {
    this.#key(field, wire.fixed32);
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setFloat32(0, value, true);
    this.#parts.push(bytes);
    return this;
  }

  bytes(field: number, value: Uint8Array | string): this {
    const bytes = typeof value === "string" ? new TextEncoder().encode(value) : value;
    this.#key(field, wire.bytes);
    this.#varint(BigInt(bytes.length));
    this.#parts.push(bytes);
    return this;
  }

  finish(): Uint8Array {
    const message = new Uint8Array(this.#parts.reduce((total, part) => total + part.length, 0));
    let offset = 0;
    for (const part of this.#parts) {
      message.set(part, offset);
      offset += part.length;
    }
    return message;
  }
}

/**
 * An Event message: wall time in seconds, step, and a summary; or the version that a file begins with; or the start of a session,
 * after which a reader forgets what it knows of this step and later ones.
 */
export function encodeEvent(
  wallTime: number,
  step: number,
  content: readonly SummaryValue[] | "version" | "start",
): Uint8Array {
  const event = new Message().double(1, wallTime);
  if (content === "version") return event.bytes(3, "brain.Event:2").finish();
  if (content === "start") return event.integer(2, step).bytes(7, new Message().integer(1, 1).finish()).finish();
  const summary = new Message();
  for (const value of content) {
    const entry = new Message().bytes(1, value.tag);
    if (value.kind === "scalar") entry.float(2, value.value);
    else {
      const { width, height, png } = value;
      entry.bytes(4, new Message().integer(1, height).integer(2, width).integer(3, 3).bytes(4, png).finish());
    }
    summary.bytes(1, entry.finish());
  }
  return event.integer(2, step).bytes(5, summary.finish()).finish();
}

/** The seconds in the name of the last event file of a folder, 0 if there is none. @throws EvenkeelError `file`. */
async function newestFile(folder: string): Promise<number> {
  try {
    const seconds = (await readdir(folder)).map((name) =>
      Number(/^events\.out\.tfevents\.(\d{1,11})\./.exec(name)?.[1] ?? 0),
    );
    return Math.max(0, ...seconds);
  } catch (cause) {
    throw fileSystemError(folder, "writing into it", cause);
  }
}

/** Appends to an event file; TensorBoard reads all files of a folder together. */
export class EventFile {
  /** Where it lies. */
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /**
   * A new file in a folder, under the name that TensorBoard looks for. It reads files in the order of their names, which begin with
   * seconds: whatever the clock says, these are more than an earlier file's.
   * @param next the first step that is written from now on; what earlier files hold of it and of later ones is void.
   * @throws EvenkeelError `file`.
   */
  static async create(folder: string, now: Date, next: number): Promise<EventFile> {
    const seconds = Math.max(Math.floor(now.getTime() / 1000), (await newestFile(folder)) + 1);
    const file = new EventFile(join(folder, `events.out.tfevents.${seconds}.evenkeel.${process.pid}`));
    await file.#append(encodeEvent(now.getTime() / 1000, 0, "version"));
    await file.#append(encodeEvent(now.getTime() / 1000, next, "start"));
    return file;
  }

  /** Numbers that aren't finite are written as they are: the page shows them as such. */
  async write(now: Date, step: number, values: readonly SummaryValue[]): Promise<void> {
    await this.#append(encodeEvent(now.getTime() / 1000, step, values));
  }

  async #append(event: Uint8Array): Promise<void> {
    try {
      await using file = await open(this.path, "a");
      await file.appendFile(frameRecord(event));
    } catch (cause) {
      throw fileSystemError(this.path, "writing", cause);
    }
  }
}
