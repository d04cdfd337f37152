/** Random elements. */
import fc from "fast-check";
import type { DType } from "../../engine/graph/dtype.ts";

/** Where kinks, ties and poles are. */
const cornerElements = fc.constantFrom(0, 1, -1, 2);
const tameElements = fc.oneof(
  { weight: 1, arbitrary: cornerElements },
  { weight: 2, arbitrary: fc.integer({ min: -64, max: 64 }).map((n) => Math.fround(n / 16)) },
  { weight: 1, arbitrary: fc.float({ min: -8, max: 8, noNaN: true }) },
);
const specialElements = fc.oneof(
  { weight: 4, arbitrary: tameElements },
  { weight: 2, arbitrary: fc.float({ noDefaultInfinity: true, noNaN: true }) },
  { weight: 2, arbitrary: fc.constantFrom(NaN, Infinity, -Infinity) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(0, -0, 1, -1, 1e-40, -1e-40, 3.4028234663852886e38, 1e30, 2 ** -126).map(Math.fround),
  },
);
const elementsOf: { readonly [D in DType]: fc.Arbitrary<number> } = {
  f32: tameElements,
  i32: fc.oneof(fc.integer({ min: -9, max: 9 }), fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })),
  u32: fc.oneof(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 2 ** 32 - 1 })),
  bool: fc.integer({ min: 0, max: 1 }),
};

/**
 * Elements of a dtype: of f32 numbers from -8 to 8, with 0, 1, -1 and 2 (where kinks, ties and poles are) more often; of integers small ones
 * and any.
 * @param special whether f32 elements are also NaN, infinities, -0, subnormal numbers and as large as they get
 * @example
 * ```ts
 * import { sample } from "fast-check";
 *
 * console.log(sample(values("u32"), 100).every((x) => x >= 0 && Number.isInteger(x))); // true
 * ```
 */
export function values(dtype: DType, special = false): fc.Arbitrary<number> {
  return dtype === "f32" && special ? specialElements : elementsOf[dtype];
}
