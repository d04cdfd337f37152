/** Unary and binary operations of i32 and u32 on limbs. */
import type { BinaryOp, UnaryOp } from "../../../graph/node.ts";
import * as limbs from "./limbs.ts";
import type { Limbs } from "./limbs.ts";
import type { KernelWriter } from "./writer.ts";

/** null if the operation isn't one of integers. */
export function unaryLimbs(writer: KernelWriter, op: UnaryOp, x: Limbs, signed: boolean): Limbs | null {
  switch (op) {
    case "negate":
      return limbs.negateLimbs(writer, x);
    case "absolute":
      return signed ? limbs.selectLimbs(writer, `${x.high} >= 32768`, limbs.negateLimbs(writer, x), x) : x;
    case "sign": {
      const negative = signed ? writer.local(`(${x.high} >= 32768 ? 1 : 0)`) : null;
      const nonZero = writer.local(`((${x.high} + ${x.low}) > 0 ? 1 : 0)`);
      if (negative === null) return { high: "0", low: nonZero };
      return {
        high: writer.local(`(${negative} * 65535)`),
        low: writer.local(`(${nonZero} + ${negative} * 65534)`),
      };
    }
    case "floor":
      return x;
    case "not":
      return limbs.notLimbs(writer, x);
    case "exp":
    case "expm1":
    case "log":
    case "log1p":
    case "sqrt":
    case "sin":
    case "cos":
    case "atan":
    case "tanh":
    case "sigmoid":
    case "erf":
    case "roundToFloat16":
    case "isFinite":
    case "isNaN":
      return null;
  }
}

/** null if the operation isn't one of integers. */
export function binaryLimbs(writer: KernelWriter, op: BinaryOp, x: Limbs, y: Limbs, signed: boolean): Limbs | null {
  switch (op) {
    case "add":
      return limbs.addLimbs(writer, x, y);
    case "subtract":
      return limbs.subtractLimbs(writer, x, y);
    case "multiply":
      return limbs.multiplyLimbs(writer, x, y);
    case "maximum":
      return limbs.selectLimbs(writer, `${limbs.differenceOfLimbs(writer, x, y, signed)} > 0`, x, y);
    case "minimum":
      return limbs.selectLimbs(writer, `${limbs.differenceOfLimbs(writer, x, y, signed)} < 0`, x, y);
    case "and":
      return limbs.bitwiseLimbs(writer, "andHalves", x, y);
    case "or":
      return limbs.bitwiseLimbs(writer, "orHalves", x, y);
    case "xor":
      return limbs.bitwiseLimbs(writer, "xorHalves", x, y);
    case "truncateDivide":
      return limbs.divideLimbs(writer, x, y, signed);
    case "divide":
    case "fmod":
    case "power":
      return null;
  }
}
