import assert from "node:assert/strict";
import { test } from "node:test";
import { emitThreefry } from "../../../../../engine/devices/wasm/math/binary.ts";
import { vectorProgram } from "./vectorProgram.ts";

/** Known answers for Threefry-2x32-20, published with Random123 (Salmon et al. 2011): key, counter, block. */
const knownAnswers = [
  [0x00000000, 0x00000000, 0x00000000, 0x00000000, 0x6b200159, 0x99ba4efe],
  [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x1cb996fc, 0xbb002be7],
  [0x13198a2e, 0x03707344, 0x243f6a88, 0x85a308d3, 0xc4923a9c, 0x483df7a0],
] as const;

test("Threefry-2x32-20 gives the published blocks, each lane on its own", () => {
  const columns = [0, 1, 2, 3].map((column) => Uint32Array.from(knownAnswers, (row) => row[column] ?? 0));
  for (const word of [0, 1] as const) {
    const run = vectorProgram(4, (f) => emitThreefry(f, word));
    assert.deepEqual(
      run(...columns),
      Uint32Array.from(knownAnswers, (row) => row[4 + word] ?? 0),
    );
  }
});
