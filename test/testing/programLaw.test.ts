/** The law itself must be able to fail: devices that are slightly wrong must be caught. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Device, DeviceBuffer, Executable } from "../../engine/devices/device.ts";
import { OracleDevice } from "../../engine/devices/oracle/oracleDevice.ts";
import type { Graph } from "../../engine/graph/graph.ts";
import { makeNode, rewriteGraph } from "../../engine/graph/graph.ts";
import type { Node } from "../../engine/graph/node.ts";
import { accuracies } from "../../testing/bounds/accuracies.ts";
import { checkPrograms } from "../../testing/laws/programLaw.ts";

/** An oracle that interprets another graph than it is given, or spoils what it computed. */
class WrongDevice extends OracleDevice {
  readonly #rewrite: (node: Node) => Node;
  readonly #spoil: (values: Float64Array) => void;

  constructor(rewrite: (node: Node) => Node, spoil: (values: Float64Array) => void = () => undefined) {
    super();
    this.#rewrite = rewrite;
    this.#spoil = spoil;
  }

  override async interpret(graph: Graph): Promise<Executable> {
    const executable = await super.interpret(rewriteGraph(graph, this.#rewrite));
    const run: Executable["run"] = async (inputs, outputs, options) => {
      const times = await executable.run(inputs, outputs, options);
      for (const output of outputs) this.#spoilBuffer(output);
      return times;
    };
    return { ...executable, run };
  }

  #spoilBuffer(buffer: DeviceBuffer): void {
    if (buffer.dtype !== "f32") return;
    const values = this.downloadFloat64(buffer);
    this.#spoil(values);
    this.uploadFloat64(buffer, values);
  }
}

const mistakes: { readonly [name: string]: () => Device } = {
  "a result wrong in its 20th bit": () =>
    new WrongDevice(
      (node) => node,
      (values) => values.forEach((value, i) => (values[i] = value * (1 + 2 ** -20))),
    ),
  "a last element that is never written": () =>
    new WrongDevice(
      (node) => node,
      (values) => {
        if (values.length > 3) values.fill(0, -1);
      },
    ),
  "subtraction with its operands exchanged": () =>
    new WrongDevice((node) =>
      node.kind === "binary" && node.attributes.op === "subtract"
        ? makeNode("binary", [node.inputs[1], node.inputs[0]], node.attributes)
        : node,
    ),
  "slices that start one element late": () =>
    new WrongDevice((node) => {
      if (node.kind !== "slice") return node;
      const start = node.attributes.start.map((first, axis) => {
        const last = first + ((node.attributes.size[axis] ?? 1) - 1) * (node.attributes.step[axis] ?? 1);
        return Math.max(first, last) + 1 < (node.inputs[0].shape[axis] ?? 0) ? first + 1 : first;
      });
      return makeNode("slice", node.inputs, { ...node.attributes, start });
    }),
  "a maximum that ignores NaN": () =>
    new WrongDevice((node) => {
      if (node.kind !== "binary" || node.attributes.op !== "maximum") return node;
      const [x, y] = node.inputs;
      return makeNode("select", [makeNode("compare", [y, x], { op: "lessEqual" }), x, y], {});
    }),
  "borders padded with 0 whatever the value": () =>
    new WrongDevice((node) =>
      node.kind === "pad" ? makeNode("pad", node.inputs, { ...node.attributes, value: 0 }) : node,
    ),
  "the other word of the random generator": () =>
    new WrongDevice((node) =>
      node.kind === "threefry" ? makeNode("threefry", node.inputs, { word: node.attributes.word === 0 ? 1 : 0 }) : node,
    ),
  "right shifts that lose the sign": () =>
    new WrongDevice((node) => {
      if (node.kind !== "shift" || node.dtype !== "i32" || node.attributes.direction === "left") return node;
      const unsigned = makeNode("cast", node.inputs, { dtype: "u32" });
      return makeNode("cast", [makeNode("shift", [unsigned], node.attributes)], { dtype: "i32" });
    }),
};

describe("the law of random programs catches", () => {
  for (const [name, make] of Object.entries(mistakes)) {
    it(name, async () => {
      const device = make();
      await assert.rejects(
        // The rarest of these mistakes shows in one of 900 programs.
        checkPrograms(device, { runs: 6000, seed: 3, accuracy: accuracies.wasm, shrinks: false }),
        /oracle \(float64 .*\): result \d+, element \d+/,
      );
      device.dispose();
    });
  }
});
