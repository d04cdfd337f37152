import { type DeviceChoice, getDevice } from "../devices/select.ts";
import type { TensorData } from "../graph/dtype.ts";
import { setEvaluator, type Tensor } from "../graph/tensor.ts";
import { runExclusively } from "./exclusive.ts";
import { Program } from "./program.ts";
import { requireConcrete } from "./trace.ts";

/**
 * Computes a tensor made outside of `compile`: compiles its graph, runs it once and forgets the program. For scripts and
 * tests; what is computed repeatedly should be compiled.
 */
export async function evaluate(tensor: Tensor, choice?: DeviceChoice): Promise<TensorData> {
  requireConcrete(tensor);
  if (tensor.node.kind === "constant") return tensor.node.attributes.data;
  const device = await getDevice(choice);
  return runExclusively(device, async () => {
    const program = await Program.compile({ inputs: [], outputs: [tensor.node] }, device);
    try {
      await program.run([], []);
      await program.checkRun();
      return await program.read(0);
    } finally {
      program.dispose();
    }
  });
}

setEvaluator((tensor) => evaluate(tensor));
