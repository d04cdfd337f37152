/** Random shapes and arrays for tests of single operations. */
import fc from "fast-check";
import type { DType } from "../../engine/graph/dtype.ts";

/** A row-major array of numbers. */
export type Plain = { readonly shape: readonly number[]; readonly values: readonly number[] };

const sizes = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 1, max: 5 }) },
  { weight: 1, arbitrary: fc.constant(0) },
);

/**
 * Ranks 0 to 4, now and then with an empty axis.
 * @example
 * ```ts
 * import { assert, property } from "fast-check";
 * import { ones, transpose } from "evenkeel/engine";
 *
 * assert(property(shapes(2, 2), ([rows = 0, columns = 0]) => transpose(ones([rows, columns])).shape[0] === columns));
 * ```
 */
export const shapes = (minRank = 0, maxRank = 4): fc.Arbitrary<number[]> =>
  fc.array(sizes, { minLength: minRank, maxLength: maxRank });

/** Small whole numbers: sums and products of a few are exact in every number format. */
const small: { readonly [D in DType]: fc.Arbitrary<number> } = {
  f32: fc.integer({ min: -8, max: 8 }),
  i32: fc.integer({ min: -8, max: 8 }),
  u32: fc.integer({ min: 0, max: 16 }),
  bool: fc.integer({ min: 0, max: 1 }),
};

/**
 * An array of a given shape.
 * @example
 * ```ts
 * import { sample } from "fast-check";
 *
 * const [drawn] = sample(arraysOf([2, 3]), 1);
 * console.log(drawn?.shape, drawn?.values.length); // [ 2, 3 ] 6
 * ```
 */
export const arraysOf = (shape: readonly number[], elements: fc.Arbitrary<number> = small.f32): fc.Arbitrary<Plain> => {
  const length = shape.reduce((product, size) => product * size, 1);
  return fc.array(elements, { minLength: length, maxLength: length }).map((values) => ({ shape, values }));
};

/**
 * An array of small whole numbers, of random shape.
 * @example
 * ```ts
 * import { assert, property } from "fast-check";
 * import { tensor } from "evenkeel/engine";
 *
 * assert(property(arrays("i32", 1, 2), ({ shape, values }) => tensor(values, { shape, dtype: "i32" }).rank <= 2));
 * ```
 */
export const arrays = (dtype: DType = "f32", minRank = 0, maxRank = 4): fc.Arbitrary<Plain> =>
  shapes(minRank, maxRank).chain((shape) => arraysOf(shape, small[dtype]));

/** Two shapes that broadcast, and the result: axes of size 1 and missing axes in front on either side. */
export const broadcastingShapes: fc.Arbitrary<{ a: number[]; b: number[]; result: number[] }> = fc
  .array(fc.tuple(sizes, fc.constantFrom("both", "left", "right")), { maxLength: 4 })
  .chain((axes) =>
    fc.tuple(fc.nat(axes.length), fc.nat(1)).map(([missing, side]) => {
      const a = axes.map(([size, where]) => (where === "right" ? 1 : size));
      const b = axes.map(([size, where]) => (where === "left" ? 1 : size));
      const cut = side === 0 ? { a: a.slice(missing), b } : { a, b: b.slice(missing) };
      const padded = (shape: number[]): number[] => [
        ...new Array<number>(axes.length - shape.length).fill(1),
        ...shape,
      ];
      const [left, right] = [padded(cut.a), padded(cut.b)];
      return { ...cut, result: left.map((size, axis) => (size === 1 ? (right[axis] ?? 1) : size)) };
    }),
  );
