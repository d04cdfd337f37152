/** What the page weighs: the files that it asked its host for, compressed as hosts do it. */
import { gzipSync } from "node:zlib";
import type { LabFiles } from "./buildLab.ts";

export type Weight = {
  /** Scripts, styles and the page itself: bytes of each, compressed, the largest first. */
  readonly program: readonly (readonly [address: string, bytes: number])[];
  /** The data set that comes with the page: bytes of each file, as it is. */
  readonly data: readonly (readonly [address: string, bytes: number])[];
};

/** @param asked addresses below the page's; the same twice is counted once. */
export function weightOf(files: LabFiles, asked: readonly string[]): Weight {
  const addresses = new Set(asked.map((address) => (address === "" ? "index.html" : address)));
  const weight: { program: [string, number][]; data: [string, number][] } = { program: [], data: [] };
  for (const address of addresses) {
    const bytes = files.get(address);
    if (bytes === undefined) continue;
    if (/\.(html|js|css|svg|wasm)$/.test(address)) weight.program.push([address, gzipSync(bytes).length]);
    else weight.data.push([address, bytes.length]);
  }
  weight.program.sort(([, one], [, other]) => other - one);
  return weight;
}

/** Bytes of all. */
export const sumOf = (parts: readonly (readonly [string, number])[]): number =>
  parts.reduce((sum, [, bytes]) => sum + bytes, 0);
