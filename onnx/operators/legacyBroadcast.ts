import { reshape, type Tensor } from "../../engine/index.ts";
import { flag, integer, unused } from "../build/attributes.ts";
import type { NodeCall, Result } from "../build/nodeCall.ts";
import { type Operator, operator } from "../build/operator.ts";
import { axisOf } from "./axes.ts";

/**
 * Both versions of an operator of two operands: before opset 7 the second broadcasts only if `broadcast` is set, and begins at `axis` of the
 * first.
 */
export function ofTwo(
  build: (x: Tensor, y: Tensor, call: NodeCall) => Result,
  more: { readonly wraps?: boolean } = {},
): readonly Operator[] {
  return [
    operator({
      ...more,
      attributes: { axis: integer, broadcast: flag(false), consumed_inputs: unused },
      build: (call, { axis, broadcast }) => {
        const [x, y] = [call.tensor(0), call.tensor(1)];
        if (!broadcast || axis === undefined || y.rank === 0) return build(x, y, call);
        const behind = x.rank - axisOf(call, axis, x.rank) - y.rank;
        return build(x, reshape(y, [...y.shape, ...new Array<number>(Math.max(0, behind)).fill(1)]), call);
      },
    }),
    operator({ ...more, since: 7, build: (call) => build(call.tensor(0), call.tensor(1), call) }),
  ];
}
