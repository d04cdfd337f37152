import { atOnce } from "../devices/eventLoop.ts";
import { nodeByNode } from "../devices/oracle/evaluate.ts";
import { EvenkeelError } from "../errors.ts";
import type { Tensor } from "../graph/tensor.ts";
import { runtimeChecks } from "../passes/runtimeChecks.ts";
import { requireConcrete } from "./trace.ts";

/**
 * The elements of a tensor that depends on no argument of a compiled function, at once, by the float64 interpreter: row-major, integers and
 * bools as numbers. It may be called while a function is traced, and is for what the form of a program depends on, such as sizes that are
 * worked out from constants: small values, as it is slow.
 * @throws EvenkeelError `trace` if the value depends on an argument, `value` if a check of its values fails.
 * @example console.log(evaluateNow(tensor([2, 3]).multiply(2))); // Float64Array(2) [ 4, 6 ]
 */
export function evaluateNow(tensor: Tensor): Float64Array {
  requireConcrete(tensor);
  const { node } = tensor;
  const checks = runtimeChecks({ inputs: [], outputs: [node] });
  const outputs = [node, ...checks.map(({ failed }) => failed)];
  const values = atOnce(nodeByNode({ inputs: [], outputs }, []));
  const wrong = checks.find(({ failed }) => values.get(failed)?.[0] === 1);
  if (wrong !== undefined) throw new EvenkeelError("value", wrong.message);
  const value = values.get(node);
  if (value === undefined) throw new Error(`${node.kind} ${node.id} was not evaluated`);
  return value;
}
