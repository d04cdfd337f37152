import assert from "node:assert/strict";
import { test } from "node:test";
import type { FunctionBuilder } from "../../../../../engine/devices/wasm/assembler/index.ts";
import { emitThreefry } from "../../../../../engine/devices/wasm/math/binary.ts";
import { threefry } from "../../../../../engine/devices/wasm/math/threefry.ts";
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

test("blocks side by side are those of each alone", () => {
  const columns = [0, 1, 2, 3].map((column) => Uint32Array.from(knownAnswers, (row) => row[column] ?? 0));
  // The second block has the counters the other way round.
  const side = (f: FunctionBuilder, kept: number): void => {
    const [counter1, counter0, key1, key0] = [0, 1, 2, 3].map(() => f.let("v128", "input"));
    if (key0 === undefined || key1 === undefined || counter0 === undefined || counter1 === undefined) return;
    const [other0, other1] = [f.let("v128", "other", counter1), f.let("v128", "other", counter0)];
    threefry(f, { key0, key1, counter0, counter1 }, { key0, key1, counter0: other0, counter1: other1 });
    const words = [0, 1, 2, 3].map(() => f.let("v128", "word")).toReversed();
    const word = words[kept];
    if (word !== undefined) f.get(word);
  };
  const [key0, key1, counter0, counter1] = columns as [Uint32Array, Uint32Array, Uint32Array, Uint32Array];
  for (const word of [0, 1] as const) {
    const alone = vectorProgram(4, (f) => emitThreefry(f, word));
    assert.deepEqual(vectorProgram(4, (f) => side(f, word))(...columns), alone(...columns));
    const second = vectorProgram(4, (f) => side(f, 2 + word))(...columns);
    assert.deepEqual(second, alone(key0, key1, counter1, counter0));
  }
});
