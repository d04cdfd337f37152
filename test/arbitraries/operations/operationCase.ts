/** What cases of operations are made with. */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Tensor } from "../../../engine/index.ts";
import type { Plain } from "../../support/plain.ts";

/** What is computed, of what, and what it should be. */
export type OperationCase = {
  readonly options: unknown;
  readonly inputs: readonly Plain[];
  readonly fn: (...inputs: Tensor[]) => Tensor;
  readonly expected: Plain;
  /**
   * How far from `expected` float32 may come, relative to the largest element: for what chooses by comparing computed numbers, of which the
   * law of devices compares nothing.
   */
  readonly tolerance?: number;
  /** The same, where it has to be moved away from points without a derivative. */
  readonly smooth?: (...inputs: Tensor[]) => Tensor;
};

export const small = (max: number): fc.Arbitrary<number> => fc.integer({ min: 1, max });
export const range = (length: number): number[] => Array.from({ length }, (_, i) => i);
export const get = <T>(list: readonly T[], i: number): T => {
  const value = list[i];
  assert.ok(value !== undefined);
  return value;
};

export const sum = (list: readonly number[]): number => list.reduce((total, value) => total + value, 0);
