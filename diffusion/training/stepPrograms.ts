/** The programs of a step, as the trainer compiles them, for planning or looking at them. */
import { flattenParameters, type ParameterSpec, soapInterval } from "../../nn/index.ts";
import { describeDenoiser } from "../network/index.ts";
import type { AccumulatingState } from "./accumulate.ts";
import type { TrainingOptions } from "./options.ts";
import { refreshFunction, stepFunctions, type StepOf } from "./stepFunctions.ts";
import { stepTemplate } from "./stepTemplate.ts";

/**
 * What a program does: a whole step, or adding a part's gradient, and applying the sum of them; and what some optimizers do between steps.
 */
export type StepProgramName = "step" | "accumulate" | "apply" | "refresh";

/** Finds something out about a step function with its arguments: a state of zeros, and the others. */
type Ask<T> = <Rest extends readonly unknown[]>(
  fn: StepOf<Rest, unknown>,
  args: [state: AccumulatingState, ...rest: Rest],
  name: StepProgramName,
) => Promise<T>;

/** What is found out about a program of a step. */
export type AskedProgram<T> = {
  readonly name: StepProgramName;
  readonly found: T;
  /** How often a step runs it. */
  readonly runs: number;
};

/** What is found out about each program of a step. */
export async function stepPrograms<T>(options: TrainingOptions, ask: Ask<T>): Promise<readonly AskedProgram<T>[]> {
  const { state, batch, schedule, yes } = stepTemplate(options);
  const functions = stepFunctions(options, flattenParameters<ParameterSpec>(describeDenoiser(options.network)));
  const refresh = refreshFunction(options);
  const between: AskedProgram<T>[] =
    refresh === null
      ? []
      : [{ name: "refresh", found: await ask(refresh, [state], "refresh"), runs: 1 / soapInterval }];
  if (functions.kind === "whole") {
    const found = await ask(functions.step, [state, batch, schedule, yes], "step");
    return [{ name: "step", found, runs: 1 }, ...between];
  }
  const runs = options.batch / options.batchDevice;
  return [
    { name: "accumulate", found: await ask(functions.accumulate, [state, batch, yes], "accumulate"), runs },
    { name: "apply", found: await ask(functions.apply, [state, schedule, yes], "apply"), runs: 1 },
    ...between,
  ];
}
