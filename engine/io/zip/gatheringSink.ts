import type { FileSink } from "../folder.ts";

/** Bytes handed on at once, at least. */
const gatheredBytes = 2 ** 16;

/** Hands bytes on in larger pieces, as each costs a call of the system, and counts them. */
export class GatheringSink implements FileSink {
  /** Bytes that were written. */
  position = 0;
  readonly #sink: FileSink;
  readonly #gathered = new Uint8Array(gatheredBytes);
  #length = 0;

  constructor(sink: FileSink) {
    this.#sink = sink;
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.position += bytes.length;
    if (this.#length + bytes.length > gatheredBytes) await this.flush();
    if (bytes.length > gatheredBytes) return this.#sink.write(bytes);
    this.#gathered.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** Hands on what is left. */
  async flush(): Promise<void> {
    if (this.#length > 0) await this.#sink.write(this.#gathered.subarray(0, this.#length));
    this.#length = 0;
  }
}
