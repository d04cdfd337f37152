/**
 * Proofs by properties, over fast-check: what random shapes, programs and kernels are made of, laws that throw with a shrunk counterexample,
 * what float32 may make of a graph, and searches for where something goes wrong. Safe in a page. Needs `fast-check`, which is installed
 * beside this package (`npm i -D fast-check`). The guide is docs/verifying.md.
 */
export type { Graph } from "../engine/graph/graph.ts";
export type { Node } from "../engine/graph/node.ts";
export { printGraph } from "../engine/graph/print.ts";
export type { Kernel } from "../engine/kernel/kernel.ts";
export type { Plan } from "../engine/kernel/plan.ts";
export { printKernel } from "../engine/kernel/print.ts";
export { arrays, arraysOf, broadcastingShapes, type Plain, shapes } from "./arbitraries/arrays.ts";
export { buildCase, contractionCases, type KernelCase, kernelCases, printOperands } from "./arbitraries/kernels.ts";
export { buildPlan, type PlanCase, type PlanSpec, planSpecs } from "./arbitraries/plans.ts";
export {
  buildProgram,
  inputData,
  type InputSpec,
  type Instruction,
  printProgram,
  type ProgramSpec,
  programSpecs,
} from "./arbitraries/programs.ts";
export { values } from "./arbitraries/values.ts";
export { accuracies } from "./bounds/accuracies.ts";
export type { Accuracy } from "./bounds/bounds.ts";
export { graphBounds } from "./bounds/graphBounds.ts";
export type { Bounded } from "./bounds/bounded.ts";
export { interpretKernel, interpretPlan } from "./bounds/interpretKernel.ts";
export { byKind, type Interpreter, interpreterDevice, type NodeTable } from "./devices/interpreterDevice.ts";
export { float32, type Mistakes, ReferenceDevice } from "./devices/referenceDevice.ts";
export { type GraphCase, graphCase, planGraph, runGraph } from "./graphCase.ts";
export { determinismLaw } from "./laws/determinismLaw.ts";
export {
  casesOf,
  type DeviceLaw,
  deviceLaw,
  type DeviceLawName,
  deviceLawNames,
  type DeviceLawOptions,
  deviceLaws,
  holdLaw,
} from "./laws/deviceLaw.ts";
export { gradientLaw, type GradientLawOptions } from "./laws/gradientLaw.ts";
export { checkContractions, checkKernels, checkPlans, type KernelLawReport, printPlan } from "./laws/kernelLaws.ts";
export type { LawOptions, LawReport } from "./laws/lawOptions.ts";
export {
  odeOrderLaw,
  type OdeOrderOptions,
  type OdeProblem,
  odeProblems,
  type OdeSolver,
  type Slope,
} from "./laws/odeOrderLaw.ts";
export { breaksBounds, checkGraph, checkPrograms } from "./laws/programLaw.ts";
export { findUnrefused } from "./laws/refusalLaw.ts";
export { type Resumable, resumeLaw, type ResumeLawOptions, type Values } from "./laws/resumeLaw.ts";
export { unitVarianceLaw, type UnitVarianceOptions, type UnitVarianceReport } from "./laws/unitVarianceLaw.ts";
export { bisect, type BisectOptions, type Parting } from "./search/bisect.ts";
export { type ChangedKernel, type KernelDiff, kernelDiff } from "./search/kernelDiff.ts";
export { minimise, type MinimiseOptions } from "./search/minimise.ts";
export { programSource } from "./search/programSource.ts";
