/** The law of devices: every program gives the oracle's results within the error that float32 allows. */
import type { Device } from "../../engine/devices/device.ts";
import type { Node } from "../../engine/graph/node.ts";
import { printGraph } from "../../engine/graph/print.ts";
import { at } from "../../engine/graph/shape.ts";
import { EvenkeelError, messageOf, tensor } from "../../engine/index.ts";
import { trace } from "../../engine/program/trace.ts";
import { buildProgram, inputData, printProgram, type ProgramSpec, programSpecs } from "../arbitraries/programs.ts";
import type { Accuracy } from "../bounds/bounds.ts";
import { graphBounds } from "../bounds/graphBounds.ts";
import { type Bounded, firstViolation } from "../bounds/bounded.ts";
import { type GraphCase, runGraph, runProgram, titleOf, withProgram } from "../graphCase.ts";
import { minimise } from "../search/minimise.ts";
import { programSource } from "../search/programSource.ts";
import { assertCases, type LawOptions, type LawReport } from "./lawOptions.ts";
import { withoutLeftovers } from "./withoutLeftovers.ts";

/**
 * Runs random programs and compares every element of their results with float64 within the error that float32 allows.
 * @throws Error with the shrunk program, also as the smallest graph that fails, in TypeScript; the element, both values and the bound; also
 * if memory is left behind
 * @example
 * ```ts
 * const { compared } = await checkPrograms(new ReferenceDevice("arena"), { runs: 5, seed: 1, accuracy: accuracies.wasm });
 * console.log(compared > 0); // true
 * ```
 */
export async function checkPrograms(device: Device, options: LawOptions): Promise<LawReport> {
  const { accuracy, supports, shrinks = true, seed } = options;
  const report = { compared: 0, uncertain: 0 };
  /** Shrinking goes on from what fails: the last one is the smallest. */
  let failing: ProgramSpec | undefined;
  const holds = async (spec: ProgramSpec): Promise<void> => {
    const { compared, uncertain } = await compareProgram(device, spec, accuracy, supports).catch((cause: unknown) => {
      failing = spec;
      throw new Error(`${printProgram(spec)}\n${JSON.stringify(spec)}\n${messageOf(cause)}`, { cause });
    });
    report.compared += compared;
    report.uncertain += uncertain;
  };
  try {
    await withoutLeftovers(device, seed, () => assertCases(programSpecs, holds, options));
  } catch (cause) {
    if (failing === undefined || !shrinks) throw cause;
    const drawn = caseOf(failing, supports);
    const failure = await failureOf(device, drawn, accuracy);
    // What fails now and then is told as it was drawn.
    if (failure === undefined) throw cause;
    const smallest = await minimise(drawn, async (each) => (await failureOf(device, each, accuracy)) === failure);
    throw new Error(
      `${messageOf(cause)}\n\nThe smallest graph of it that is found to fail:\n${programSource(smallest)}`,
      {
        cause,
      },
    );
  }
  return report;
}

/** A program's graph, made of what is supported. */
export function caseOf(spec: ProgramSpec, supports?: (node: Node) => boolean): GraphCase {
  const inputs = spec.inputs.map(inputData);
  const given = spec.inputs.map(({ shape, dtype }, i) => tensor(at(inputs, i), { shape, dtype }));
  return { graph: trace((...all: typeof given) => buildProgram(spec, all, supports), given).graph, inputs };
}

/** Runs one program on a device and compares it with the oracle. */
export function compareProgram(
  device: Device,
  spec: ProgramSpec,
  accuracy: Accuracy,
  supports?: (node: Node) => boolean,
): Promise<LawReport> {
  return checkGraph(device, caseOf(spec, supports), accuracy);
}

/**
 * Runs a graph on a device and compares every element with float64, within the error that float32 allows.
 * @throws Error with the element, both values, the bound, the graph and the device's code
 * @example
 * ```ts
 * import { tensor, type Tensor } from "evenkeel/engine";
 *
 * const added = await graphCase((x: Tensor) => x.add(1), tensor([1, 2]));
 * console.log(await checkGraph(new ReferenceDevice("arena"), added, accuracies.wasm)); // { compared: 2, uncertain: 0 }
 * ```
 */
export function checkGraph(device: Device, graphCase: GraphCase, accuracy: Accuracy): Promise<LawReport> {
  return checkAgainst(device, graphCase, boundsOf(graphCase, accuracy));
}

function boundsOf({ graph, inputs }: GraphCase, accuracy: Accuracy): Bounded[] {
  return graphBounds(
    graph,
    inputs.map((values) => Float64Array.from(values)),
    accuracy,
  );
}

/** The same against given bounds of all outputs. */
export async function checkAgainst(
  device: Device,
  { graph, inputs }: GraphCase,
  expected: readonly Bounded[],
): Promise<LawReport> {
  if (graph.outputs.length === 0) return { compared: 0, uncertain: 0 };
  return withProgram(device, graph, async (program) => {
    const results = await runProgram(program, inputs);
    let [compared, uncertain] = [0, 0];
    for (const [output, bounded] of expected.entries()) {
      const got = at(results, output);
      const place = firstViolation(got, bounded);
      if (place !== undefined) {
        const sources = program.executable
          .sources()
          .map(({ kernel, language, text }) => `-- ${kernel} [${language}]\n${text}`.slice(0, 3000));
        const { values, errors } = bounded;
        throw new Error(
          [
            `${titleOf(device)}: result ${output}, element ${place}: got ${got[place]}, wanted ${values[place]} within ${errors[place]}`,
            printGraph(graph),
            ...sources,
          ].join("\n"),
        );
      }
      const open = bounded.errors.filter((error) => error === Infinity).length;
      compared += got.length - open;
      uncertain += open;
    }
    return { compared, uncertain };
  });
}

/**
 * Whether a device gives a graph an element beyond its bound: what `minimise` may be asked. What the device refuses (an index out of
 * range, for one) isn't wrong.
 * @example
 * ```ts
 * import { tensor, type Tensor } from "evenkeel/engine";
 *
 * const wrong = new ReferenceDevice("arena", { result: (values) => values.fill(0) });
 * const added = await graphCase((x: Tensor) => x.add(1), tensor([1, 2]));
 * console.log(await breaksBounds(wrong, added, accuracies.wasm)); // true
 * ```
 */
export async function breaksBounds(device: Device, graphCase: GraphCase, accuracy: Accuracy): Promise<boolean> {
  return (await failureOf(device, graphCase, accuracy)) === beyondBounds;
}

const beyondBounds = "beyond bounds";

/** How a device fails a graph, if it does: beyond bounds, or with which kind of error. */
async function failureOf(device: Device, graphCase: GraphCase, accuracy: Accuracy): Promise<string | undefined> {
  const expected = boundsOf(graphCase, accuracy);
  try {
    const results = await runGraph(device, graphCase);
    return expected.some((bounded, i) => firstViolation(at(results, i), bounded) !== undefined)
      ? beyondBounds
      : undefined;
  } catch (reason) {
    return reason instanceof EvenkeelError ? reason.code : reason instanceof Error ? reason.name : "unknown";
  }
}
