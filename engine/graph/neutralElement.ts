import type { DType } from "../graph/dtype.ts";
import type { ReduceOp } from "../graph/node.ts";

/** The element that changes no sum or maximum; also the result of folding nothing. */
export function neutralElement(op: ReduceOp, dtype: DType): number {
  if (op === "sum" || dtype === "u32" || dtype === "bool") return 0;
  return dtype === "f32" ? -Infinity : -(2 ** 31);
}
