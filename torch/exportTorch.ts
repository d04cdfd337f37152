import { EvenkeelError } from "../engine/errors.ts";
import type { Graph } from "../engine/graph/graph.ts";
import { at } from "../engine/graph/shape.ts";
import { trace } from "../engine/program/trace.ts";
import { treeLeaves } from "../engine/tree.ts";
import { functionLines, pathOf } from "./functionSource.ts";
import { quoted } from "./names.ts";
import { sourceOfAnySize } from "./anySize.ts";

const heading = "import torch\n\nfrom primitives import *\n";

/**
 * A function of tensors as a Python module with a function of that name, for PyTorch. It takes a dictionary of tensors, named as in the tree
 * of inputs (`weights.w`, `layers[0]`), and the device that they are on, and gives a dictionary named as in the tree of results. It stands on
 * `primitives.py`, which is {@link torchPrimitives}. No autograd is needed: derivatives are part of the function, if it has any.
 * @param fn is called once, with tensors that stand for the inputs, as by `compile`.
 * @throws EvenkeelError `trace` as `compile`; `value` for a name that Python can't have.
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * const source = exportTorch("double", ({ x }) => ({ y: x.multiply(2) }), { x: tensor([1, 2]) });
 * console.log(source.split("\n")[5]); // def double(inputs, device):
 * ```
 */
export function exportTorch<Inputs>(name: string, fn: (inputs: Inputs) => unknown, inputs: Inputs): string {
  return moduleText(name, fn, inputs, []);
}

/**
 * The same for inputs of any size, such as batches of any number of images: the function is traced with three sizes, and what differs has to
 * follow the size in a line, times a number and plus a number. The size is that of the first axis of the input named `sized`.
 * @param inputsOf inputs of a size; they are never computed.
 * @throws EvenkeelError as `exportTorch`; `trace` where something follows the size in another way, with the lines of the source.
 * @example
 * ```ts
 * import { type Tensor, zeros } from "evenkeel/engine";
 *
 * const sums = ({ x }: { readonly x: Tensor }) => ({ y: x.sum({ axes: 1 }) });
 * const source = exportTorchOfAnySize("sums", sums, (n) => ({ x: zeros([n, 3]) }), "x");
 * console.log(source.includes("sum1.reshape((n,))")); // true
 * ```
 */
export function exportTorchOfAnySize<Inputs>(
  name: string,
  fn: (inputs: Inputs) => unknown,
  inputsOf: (size: number) => Inputs,
  sized: string,
): string {
  const first = [`n = inputs[${quoted(sized)}].shape[0]`];
  return sourceOfAnySize(name, (size) => moduleText(name, fn, inputsOf(size), first));
}

function moduleText<Inputs>(
  name: string,
  fn: (inputs: Inputs) => unknown,
  inputs: Inputs,
  first: readonly string[],
): string {
  const traced = trace((given: Inputs) => fn(given), [inputs] as const);
  const outputs = treeLeaves(traced.result).map(({ path }) => path);
  return graphModule(name, traced.graph, outputs, first);
}

/** A module with one function, of a graph whose outputs have these names. @param first lines that the function begins with */
export function graphModule(
  name: string,
  graph: Graph,
  outputNames: readonly string[],
  first: readonly string[] = [],
): string {
  if (!/^[A-Za-z_]\w*$/.test(name)) {
    throw new EvenkeelError("value", `exportTorch: ${quoted(name)} is no name that a function of Python can have.`);
  }
  const lines = functionLines(graph, {
    head: `${name}(inputs, device)`,
    argument: (input) => `inputs[${quoted(pathOf(input))}]`,
    parameters: [],
    result: (outputs) => ["return {", ...outputs.map((text, i) => `    ${quoted(at(outputNames, i))}: ${text},`), "}"],
  });
  const [head = "", ...body] = lines;
  return [heading, "", head, ...first.map((line) => `    ${line}`), ...body, ""].join("\n");
}
