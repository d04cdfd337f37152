/** The law of devices: every program gives the oracle's results within the error that float32 allows. */
import fc from "fast-check";
import type { Device } from "../../engine/devices/device.ts";
import type { TensorData } from "../../engine/graph/dtype.ts";
import type { Graph } from "../../engine/graph/graph.ts";
import { printGraph } from "../../engine/graph/print.ts";
import { at } from "../../engine/graph/shape.ts";
import { tensor } from "../../engine/index.ts";
import { Program } from "../../engine/program/program.ts";
import { trace } from "../../engine/program/trace.ts";
import { buildProgram, inputData, printProgram, type ProgramSpec, programSpecs } from "../arbitraries/programs.ts";
import type { Accuracy } from "./bounds.ts";
import { type Bounded, graphBounds } from "./graphBounds.ts";

export type LawOptions = {
  readonly runs: number;
  readonly seed: number;
  readonly accuracy: Accuracy;
  /** Whether a counterexample is made smaller. Where one is expected that is wasted. */
  readonly shrinks?: boolean;
};

/** How much the law compared: a law that skips everything proves nothing. */
export type LawReport = { readonly compared: number; readonly uncertain: number };

/** @throws Error with the shrunk program, the element, both values and the bound where a device breaks the law. */
export async function checkPrograms(
  device: Device,
  { runs, seed, accuracy, shrinks = true }: LawOptions,
): Promise<LawReport> {
  const report = { compared: 0, uncertain: 0 };
  await fc.assert(
    fc.asyncProperty(programSpecs, async (spec) => {
      const { compared, uncertain } = await compareProgram(device, spec, accuracy).catch((cause: unknown) => {
        const reason = cause instanceof Error ? cause.message : String(cause);
        throw new Error(`${printProgram(spec)}\n${JSON.stringify(spec)}\n${reason}`, { cause });
      });
      report.compared += compared;
      report.uncertain += uncertain;
    }),
    { numRuns: runs, seed, endOnFailure: !shrinks, includeErrorInReport: true },
  );
  return report;
}

/** Runs one program on a device and compares it with the oracle. */
export async function compareProgram(device: Device, spec: ProgramSpec, accuracy: Accuracy): Promise<LawReport> {
  const data = spec.inputs.map(inputData);
  const arguments_ = spec.inputs.map((input, i) => tensor(at(data, i), { shape: input.shape, dtype: input.dtype }));
  const { graph } = trace((...given: typeof arguments_) => buildProgram(spec, given), arguments_);
  return compareGraph(device, graph, data, accuracy);
}

/** Runs a graph on a device and compares it with the oracle. */
export async function compareGraph(
  device: Device,
  graph: Graph,
  data: readonly TensorData[],
  accuracy: Accuracy,
): Promise<LawReport> {
  const expected = graphBounds(
    graph,
    data.map((values) => Float64Array.from(values)),
    accuracy,
  );
  const program = await Program.compile(graph, device);
  try {
    const run = program.bind(
      data.map((values) => ({ kind: "host", data: values })),
      [],
    );
    await run();
    const results = await program.read();
    let [compared, uncertain] = [0, 0];
    for (const [output, bounded] of expected.entries()) {
      const got = at(results, output);
      const place = firstViolation(got, bounded);
      if (place !== undefined) throw new Error(violation(graph, output, place, got, bounded, program));
      const open = bounded.errors.filter((error) => error === Infinity).length;
      compared += got.length - open;
      uncertain += open;
    }
    return { compared, uncertain };
  } finally {
    program.dispose();
  }
}

/** The first element that is not within its bound; 0 if there are more or fewer. */
export function firstViolation(got: TensorData, { values, errors }: Bounded): number | undefined {
  if (got.length !== values.length) return 0;
  const place = got.findIndex((value, i) => {
    const [wanted, error] = [values[i] ?? NaN, errors[i] ?? 0];
    if (error === Infinity || Object.is(value, wanted)) return false;
    return !(Math.abs(value - wanted) <= error);
  });
  return place < 0 ? undefined : place;
}

function violation(
  graph: Graph,
  output: number,
  place: number,
  got: TensorData,
  { values, errors }: Bounded,
  program: Program,
): string {
  const sources = program.executable
    .sources()
    .map(({ kernel, language, text }) => `-- ${kernel} [${language}]\n${text}`);
  return [
    `${program.device.name}: result ${output}, element ${place}: got ${got[place]}, wanted ${values[place]} within ${errors[place]}`,
    printGraph(graph),
    ...sources.map((source) => source.slice(0, 3000)),
  ].join("\n");
}
