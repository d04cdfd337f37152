import type { OpenFile } from "./folder.ts";
import { allocateBytes } from "./safetensorsEncoding.ts";

/** What is read of a `Blob`. */
export type ReadableBlob = {
  readonly size: number;
  slice(start: number, end: number): { arrayBuffer(): Promise<ArrayBuffer> };
};

/** A blob as a file that is open. @param wrap does a read and says errors of the browser in words. */
export function openBlob(
  blob: ReadableBlob,
  path: string,
  wrap: (read: () => Promise<ArrayBuffer>) => Promise<ArrayBuffer>,
): OpenFile {
  return {
    size: blob.size,
    read: async (offset, length) => {
      const bytes = allocateBytes(length, path);
      bytes.set(new Uint8Array(await wrap(() => blob.slice(offset, offset + length).arrayBuffer())));
      return bytes;
    },
    close: () => Promise.resolve(),
  };
}
