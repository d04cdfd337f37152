/** The law of equal bits: the same program gives the same results again, and on devices that say so on each other. */
import type { Device } from "../../engine/devices/device.ts";
import type { TensorData } from "../../engine/graph/dtype.ts";
import { printGraph } from "../../engine/graph/print.ts";
import { at } from "../../engine/graph/shape.ts";
import { type ProgramSpec, printProgram, programSpecs } from "../arbitraries/programs.ts";
import { runGraph, runProgram, titleOf, withProgram } from "../graphCase.ts";
import { assertCases, type LawOptions } from "./lawOptions.ts";
import { withoutLeftovers } from "./withoutLeftovers.ts";
import { caseOf } from "./programLaw.ts";

/**
 * Random programs give the same bits on all of several devices (of one kind with different numbers of threads, for one), in two runs of one
 * program, and of another one compiled anew. NaN equals NaN, whatever its payload; zeros of both signs differ.
 * @returns the number of elements compared
 * @throws Error with the shrunk program, the element and both values; also if memory is left behind
 * @example
 * ```ts
 * const { compared } = await determinismLaw(new ReferenceDevice("arena"), { runs: 5, seed: 1 });
 * console.log(compared > 0); // true
 * ```
 */
export async function determinismLaw(
  devices: Device | readonly Device[],
  options: Pick<LawOptions, "runs" | "seed" | "shrinks" | "supports" | "onCase">,
): Promise<{ readonly compared: number }> {
  const all = Array.isArray(devices) ? (devices as readonly Device[]) : [devices as Device];
  let compared = 0;
  const holds = async (spec: ProgramSpec): Promise<void> => {
    const drawn = caseOf(spec, options.supports);
    if (drawn.graph.outputs.length === 0) return;
    const found: { readonly what: string; readonly results: readonly TensorData[] }[] = [];
    for (const device of all) {
      const title = titleOf(device);
      await withProgram(device, drawn.graph, async (program) => {
        found.push({ what: `the first run on ${title}`, results: await runProgram(program, drawn.inputs) });
        found.push({ what: `the second run on ${title}`, results: await runProgram(program, drawn.inputs) });
      });
      found.push({ what: `the run of a second program on ${title}`, results: await runGraph(device, drawn) });
    }
    const [first, ...others] = found;
    for (const { what, results } of others) {
      for (const [output, data] of results.entries()) {
        const wanted = at(first?.results ?? [], output);
        const place = data.findIndex((value, i) => !Object.is(value, wanted[i]));
        compared += data.length;
        if (place < 0 && data.length === wanted.length) continue;
        throw new Error(
          `${printProgram(spec)}\n${what}: result ${output}, element ${place}: got ${data[place]}, ` +
            `in ${first?.what} ${wanted[place]}\n${printGraph(drawn.graph)}`,
        );
      }
    }
  };
  const tryAll = all.reduce<() => Promise<void>>(
    (inner, device) => () => withoutLeftovers(device, options.seed, inner),
    () => assertCases(programSpecs, holds, options),
  );
  await tryAll();
  return { compared };
}
