/** Values as other types. */
import { cast, notEqual, roundToFloat16 } from "../../engine/index.ts";
import { flag, integer } from "../build/attributes.ts";
import type { NodeCall, Result } from "../build/nodeCall.ts";
import { operator, type OperatorTable } from "../build/operator.ts";
import { wrapped } from "../build/wrap.ts";
import type { ElementType } from "../format/elementTypes.ts";
import { dtypeOf, typeOfCode } from "./constants.ts";

/**
 * x as another type. Integers of 8 and 16 bits keep their low bits; 16-bit floats are rounded, where what would be subnormal becomes 0;
 * floats that no integer can hold saturate, where ONNX leaves open what happens.
 */
function castTo(call: NodeCall, type: ElementType): Result {
  const { type: from } = call.value(0);
  if (from === type) return call.value(0);
  if (from === "string" || type === "string") throw call.error("dtype", "texts can't be computed with.");
  if (type === "bf16")
    throw call.error("dtype", "rounding to bf16 can't be expressed. Export the model in f32 or f16.");
  const x = call.tensor(0);
  const dtype = dtypeOf(call, type);
  if (type === "bool") return call.typed(type, notEqual(x, 0));
  if (type === "f16" && from !== "bool") return call.typed(type, roundToFloat16(cast(x, dtype)));
  return call.typed(type, wrapped(cast(x, dtype), type));
}

export const casts: OperatorTable = {
  Cast: [
    operator({
      since: 6,
      attributes: { to: integer.required },
      build: (call, { to }) => castTo(call, typeOfCode(call, to)),
    }),
    operator({
      since: 19,
      attributes: { to: integer.required, saturate: flag(true) },
      build: (call, { to }) => castTo(call, typeOfCode(call, to)),
    }),
  ],
  CastLike: [
    operator({ since: 15, build: (call) => castTo(call, call.value(1).type) }),
    operator({
      since: 19,
      attributes: { saturate: flag(true) },
      build: (call) => castTo(call, call.value(1).type),
    }),
  ],
};
