/** The programs of a step, as the trainer compiles them, for planning them without a device. */
import { flattenParameters, type ParameterSpec } from "../../nn/index.ts";
import { describeDenoiser } from "../network/index.ts";
import type { TrainingOptions } from "./options.ts";
import { stepFunctions } from "./stepFunctions.ts";
import { stepTemplate } from "./stepTemplate.ts";

/** Finds something out about a step function with its arguments. */
type Ask<T> = <Args extends readonly unknown[]>(fn: (...args: Args) => unknown, args: Args) => Promise<T>;

/** What is found out about each program of a step, with how often a step runs it. */
export async function stepPrograms<T>(
  options: TrainingOptions,
  ask: Ask<T>,
): Promise<readonly { readonly found: T; readonly runs: number }[]> {
  const { state, batch, schedule, yes } = stepTemplate(options);
  const functions = stepFunctions(options, flattenParameters<ParameterSpec>(describeDenoiser(options.network)));
  if (functions.kind === "whole") return [{ found: await ask(functions.step, [state, batch, schedule, yes]), runs: 1 }];
  return [
    { found: await ask(functions.accumulate, [state, batch, yes]), runs: options.batch / options.batchDevice },
    { found: await ask(functions.apply, [state, schedule, yes]), runs: 1 },
  ];
}
