/** What operations cost, one table for all who estimate; a new operation doesn't compile until it has a row. */
import type { BinaryOp, UnaryOp } from "../graph/node.ts";

export type OperationCost = {
  /** In simple operations on the whole, memory included: what it takes to compute a value again rather than keep it (`fuse.ts`). */
  readonly again: number;
  /** In instructions of a vector, the surroundings' loads and stores left out (`wasm/loops/schedule.ts`). */
  readonly instructions: number;
};

const simple: OperationCost = { again: 1, instructions: 1 };
/** A polynomial and its range reduction. */
const series: OperationCost = { again: 8, instructions: 20 };

export const unaryCosts: Readonly<Record<UnaryOp, OperationCost>> = {
  negate: simple,
  absolute: simple,
  sign: simple,
  floor: simple,
  not: simple,
  isFinite: simple,
  isNaN: simple,
  // One instruction, but a slow one.
  sqrt: { again: 8, instructions: 1 },
  roundToFloat16: { again: 3, instructions: 10 },
  exp: series,
  expm1: series,
  log: series,
  log1p: series,
  sin: series,
  cos: series,
  atan: { again: 8, instructions: 25 },
  tanh: series,
  sigmoid: series,
  // Two series, one of which is a power of e.
  erf: { again: 16, instructions: 45 },
};

export const binaryCosts: Readonly<Record<BinaryOp, OperationCost>> = {
  add: simple,
  subtract: simple,
  multiply: simple,
  maximum: simple,
  minimum: simple,
  and: simple,
  or: simple,
  xor: simple,
  divide: { again: 3, instructions: 4 },
  // By way of float64, two lanes at a time.
  truncateDivide: { again: 8, instructions: 16 },
  fmod: { again: 16, instructions: 30 },
  power: { again: 16, instructions: 60 },
};

/** Twenty rounds of additions and rotations. */
export const threefryCost: OperationCost = { again: 64, instructions: 80 };
