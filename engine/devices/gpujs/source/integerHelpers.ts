/** Helpers of 16-bit limb arithmetic, and the one way to an i32 index from an f32 local. */
import { type HelperDefinition, type HelperName, helperStatements as statements } from "./helperDefinition.ts";
import { threefryArguments, writeThreefry } from "./threefry.ts";
import { KernelWriter } from "./writer.ts";

export const integerHelpers = {
  /** gpu.js keeps locals in f32 but index arithmetic in i32; a returnType of Integer converts. */
  whole: { parameters: ["x"], returnType: "Integer", uses: [], body: statements("return x;") },
  andHalves: { parameters: ["x", "y"], returnType: "Number", uses: [], body: statements("return x & y;") },
  orHalves: { parameters: ["x", "y"], returnType: "Number", uses: [], body: statements("return x | y;") },
  xorHalves: { parameters: ["x", "y"], returnType: "Number", uses: [], body: statements("return x ^ y;") },
  multiplyLow: {
    parameters: ["xLow", "yLow"],
    returnType: "Number",
    uses: [],
    // x1 and y1 are the upper bytes. The upper byte of the cross products falls out of the low limb.
    body: statements(`
      const x1 = Math.floor(xLow * 0.00390625);
      const x0 = xLow - x1 * 256;
      const y1 = Math.floor(yLow * 0.00390625);
      const y0 = yLow - y1 * 256;
      const cross = x1 * y0 + x0 * y1;
      const crossHigh = Math.floor(cross * 0.00390625);
      const sum = x0 * y0 + (cross - crossHigh * 256) * 256;
      return sum - Math.floor(sum * 0.0000152587890625) * 65536;
    `),
  },
  multiplyHigh: {
    parameters: ["xHigh", "xLow", "yHigh", "yLow"],
    returnType: "Number",
    uses: ["multiplyLow"],
    body: statements(`
      const x1 = Math.floor(xLow * 0.00390625);
      const x0 = xLow - x1 * 256;
      const y1 = Math.floor(yLow * 0.00390625);
      const y0 = yLow - y1 * 256;
      const cross = x1 * y0 + x0 * y1;
      const crossHigh = Math.floor(cross * 0.00390625);
      const lowSum = x0 * y0 + (cross - crossHigh * 256) * 256;
      const carry = Math.floor(lowSum * 0.0000152587890625);
      const sum = x1 * y1 + crossHigh + carry + multiplyLow(xLow, yHigh) + multiplyLow(xHigh, yLow);
      return sum - Math.floor(sum * 0.0000152587890625) * 65536;
    `),
  },
  threefry: {
    parameters: threefryArguments,
    returnType: "Array(4)",
    uses: ["xorHalves"],
    body: () => {
      const writer = new KernelWriter("cpu");
      writeThreefry(writer);
      return writer.text();
    },
  },
} as const satisfies Readonly<Partial<Record<HelperName, HelperDefinition>>>;
