/** Helpers that divide, bit by bit: one bit of a quotient at a time is exact in f32. */
import { type HelperDefinition, type HelperName, helperStatements as statements } from "./helperDefinition.ts";

/** Powers of two that add up to more than 277, the longest quotient of f32 numbers. */
const doublings = [64, 64, 64, 64, 32, 16, 8, 4, 2, 1];

export const divisionHelpers = {
  /** The quotient of two u32 of 16-bit halves, as its halves; 0 where the divisor is 0. */
  divideHalves: {
    parameters: ["xHigh", "xLow", "yHigh", "yLow"],
    returnType: "Array(2)",
    uses: [],
    // The dividend leaves at the top, bit by bit, and the quotient comes in below.
    body: statements(`
      let high = xHigh;
      let low = xLow;
      let restHigh = 0;
      let restLow = 0;
      for (let i = 0; i < 32; i++) {
        const top = high >= 32768 ? 1 : 0;
        const middle = low >= 32768 ? 1 : 0;
        high = high * 2 - top * 65536 + middle;
        low = low * 2 - middle * 65536;
        const carry = restLow >= 32768 ? 1 : 0;
        restHigh = restHigh * 2 + carry;
        restLow = restLow * 2 - carry * 65536 + top;
        const borrow = restLow < yLow ? 1 : 0;
        const fits = restHigh >= yHigh + borrow ? 1 : 0;
        restHigh = restHigh - fits * (yHigh + borrow);
        restLow = restLow + fits * (borrow * 65536 - yLow);
        low = low + fits;
      }
      const some = yHigh + yLow > 0 ? 1 : 0;
      return [high * some, low * some];
    `),
  },
  /** C's fmod: powers of two times |y| are taken off |x|, from the largest on. */
  floatRemainder: {
    parameters: ["x", "y"],
    returnType: "Number",
    uses: ["undefinedNumber"],
    body: statements(`
      const size = Math.abs(y);
      let rest = Math.abs(x);
      let step = size;
      if (!(rest <= 3.4028234663852886e38) || !(size > 0)) { return undefinedNumber(3e38); }
      if (size > 3.4028234663852886e38) { return x; }
      ${doublings.map((bits) => `if (step * ${2 ** bits} <= rest) { step = step * ${2 ** bits}; }`).join("\n      ")}
      for (let i = 0; i < 280; i++) {
        if (step >= size) {
          if (rest >= step) { rest = rest - step; }
          step = step * 0.5;
        }
      }
      return (x < 0 || (x === 0 && 1 / x < 0)) ? -rest : rest;
    `),
  },
} as const satisfies Readonly<Partial<Record<HelperName, HelperDefinition>>>;
