/** PyTorch as a device that computes graphs as they are exported, so that it can be held to the laws. */
import type { Executable } from "../../engine/devices/device.ts";
import { OracleDevice } from "../../engine/devices/oracle/oracleDevice.ts";
import type { Graph } from "../../engine/graph/graph.ts";
import { at } from "../../engine/graph/shape.ts";
import { graphModule } from "../../torch/exportTorch.ts";
import { pathOf } from "../../torch/functionSource.ts";
import { type Given, TorchProcess } from "./torchProcess.ts";

/** One Python process that computes all graphs of a test. */
export class TorchDevice extends OracleDevice {
  readonly #process = new TorchProcess();

  override async interpret(graph: Graph): Promise<Executable> {
    const executable = await super.interpret(graph);
    const names = graph.outputs.map((_, i) => `result${i}`);
    const source = graphModule("program", graph, names);
    return {
      ...executable,
      run: async (inputs, outputs) => {
        const given = inputs.map((buffer, i): [string, Given] => {
          const input = at(graph.inputs, i);
          return [pathOf(input), { dtype: input.dtype, shape: input.shape, values: this.downloadFloat64(buffer) }];
        });
        const results = await this.#process.run(source, "program", new Map(given));
        for (const [i, buffer] of outputs.entries()) this.uploadFloat64(buffer, at(results, i));
        return [];
      },
      sources: () => [{ kernel: "program", language: "Python", text: source }],
    };
  }

  override dispose(): void {
    super.dispose();
    this.#process.dispose();
  }
}
