/**
 * Sine and cosine for the f32 modes, whose drivers may be off by 2e-4. The angle is reduced to r = x - k pi/2 with
 * |r| <= pi/4 and pi/2 in four parts of 8 bits each (k times a part is exact up to k = 2^16), then Taylor series.
 * Beyond |x| = 1e5 the reduction loses accuracy in proportion to |x|, as the f32 argument itself does; the clamp keeps
 * the result within [-1, 1] even there.
 */
import type { HelperDefinition } from "./helpers.ts";
import { helperStatements as statements } from "./helperStatements.ts";

/** pi/2 as a sum of parts with 8 significant bits; the last part is the rest. */
function partsOfHalfPi(): readonly [number, number, number, number] {
  const part = (value: number): number => {
    const scale = 2 ** (7 - Math.floor(Math.log2(value)));
    return Math.floor(value * scale) / scale;
  };
  const first = part(Math.PI / 2);
  const second = part(Math.PI / 2 - first);
  const third = part(Math.PI / 2 - first - second);
  return [first, second, third, Math.fround(Math.PI / 2 - first - second - third)];
}

const [half0, half1, half2, half3] = partsOfHalfPi();

const f = (numerator: number, denominator: number): number => Math.fround(numerator / denominator);

const reduced = `
      const k = Math.floor(x * ${Math.fround(2 / Math.PI)} + 0.5);
      const quadrant = k - Math.floor(k * 0.25) * 4;
      const rest = (((x - k * ${half0}) - k * ${half1}) - k * ${half2}) - k * ${half3};
      const r = rest > 1 ? 1 : (rest < (-1) ? (-1) : rest);
      const q = r * r;
      const s = r - r * q * (${f(1, 6)} - q * (${f(1, 120)} - q * (${f(1, 5040)} - q * ${f(1, 362880)})));
      const c = 1 - q * (0.5 - q * (${f(1, 24)} - q * (${f(1, 720)} - q * (${f(1, 40320)} - q * ${f(1, 3628800)}))));`;

export const trigonometricHelpers = {
  sine: {
    parameters: ["x"],
    returnType: "Number",
    uses: [],
    body: statements(`${reduced}
      if (quadrant === 1) { return c; }
      if (quadrant === 2) { return -s; }
      if (quadrant === 3) { return -c; }
      return s;
    `),
  },
  cosine: {
    parameters: ["x"],
    returnType: "Number",
    uses: [],
    body: statements(`${reduced}
      if (quadrant === 1) { return -s; }
      if (quadrant === 2) { return -c; }
      if (quadrant === 3) { return s; }
      return c;
    `),
  },
} as const satisfies Readonly<Record<string, HelperDefinition>>;
