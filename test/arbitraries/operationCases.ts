/**
 * Operations that are composed of many others, on random shapes, options and small whole numbers, each with its result straight from the
 * definition, in loops that share nothing with the engine.
 */
import type fc from "fast-check";
import { algebraCases } from "./operations/algebraCases.ts";
import type { OperationCase } from "./operations/operationCase.ts";
import { samplingCases } from "./operations/samplingCases.ts";
import { windowCases } from "./operations/windowCases.ts";

/** Every operation, by name. */
export const operationCases: { readonly [name: string]: fc.Arbitrary<OperationCase> } = {
  ...windowCases,
  ...samplingCases,
  ...algebraCases,
};
