import { type DeviceChoice, getDevice } from "../devices/select.ts";
import type { TensorData } from "../graph/dtype.ts";
import { at } from "../graph/shape.ts";
import { isTensor, setEvaluator, type Tensor } from "../graph/tensor.ts";
import { EvenkeelError } from "../errors.ts";
import { describeValue } from "../tree.ts";
import { Program } from "./program.ts";
import { requireConcrete } from "./trace.ts";

/**
 * Computes a tensor made outside of `compile`: compiles its graph, runs it once and forgets the program. For scripts and
 * tests; what is computed repeatedly should be compiled.
 * @throws EvenkeelError `value` if it isn't given a tensor, or if a check of its values fails
 * @example console.log(await evaluate(tensor([1, 2]).add(1))); // Float32Array(2) [ 2, 3 ]
 */
export async function evaluate(tensor: Tensor, choice?: DeviceChoice): Promise<TensorData> {
  if (!isTensor(tensor)) {
    throw new EvenkeelError(
      "value",
      `evaluate: expected a tensor, got ${describeValue(tensor)}. Evaluate tensors one by one, or compile a function that gives them all.`,
    );
  }
  requireConcrete(tensor);
  if (tensor.node.kind === "constant") return tensor.node.attributes.data;
  const device = await getDevice(choice);
  const program = await Program.compile({ inputs: [], outputs: [tensor.node] }, device);
  try {
    return await device.queue.run(async () => {
      await program.bind([], [])();
      return at(await program.read(), 0);
    });
  } finally {
    program.dispose();
  }
}

setEvaluator((tensor) => evaluate(tensor));
