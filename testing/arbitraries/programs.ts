/**
 * Random programs: a few inputs and a list of instructions, each an operation on earlier values. Every instruction is valid:
 * it adapts its operands, so that shrinking (fewer instructions, smaller numbers) always gives a program again.
 */
import fc from "fast-check";
import { allocateData, type DType, type TensorData } from "../../engine/graph/dtype.ts";
import { topologicalOrder } from "../../engine/graph/graph.ts";
import type { Node } from "../../engine/graph/node.ts";
import { at, type Shape, sizeOf } from "../../engine/graph/shape.ts";
import type { Tensor } from "../../engine/index.ts";
import { toDtype } from "./instructions/operands.ts";
import { operations } from "./instructions/operations.ts";
import { values } from "./values.ts";

/** One operation of a random program. */
export type Instruction = {
  /** A name of the table of operations, as `add` or `conv2d`. */
  readonly operation: string;
  /** Which earlier values to use, counted back from the newest. */
  readonly operands: readonly [number, number, number];
  /** Two free choices: axis, amount, order. */
  readonly choices: readonly [number, number];
};

/** An input of a random program. */
export type InputSpec = { readonly dtype: DType; readonly shape: Shape; readonly elements: readonly number[] };

/** A random program, from which `buildProgram` makes tensors. */
export type ProgramSpec = {
  readonly inputs: readonly InputSpec[];
  readonly instructions: readonly Instruction[];
  readonly outputs: number;
};

/** Values may not grow beyond this: the oracle is slow. */
const mostElements = 3000;

const shapes = fc
  .array(
    fc.oneof(
      { weight: 20, arbitrary: fc.integer({ min: 1, max: 6 }) },
      { weight: 1, arbitrary: fc.constant(0) },
      { weight: 1, arbitrary: fc.integer({ min: 7, max: 37 }) },
    ),
    {
      maxLength: 4,
    },
  )
  .filter((shape) => sizeOf(shape) <= 400);

/**
 * Up to 24 distinct elements, repeated: shrinks quickly and still fills any shape. Special values are in a few inputs only,
 * since one NaN may reach everything that a program computes.
 */
const inputs: fc.Arbitrary<InputSpec> = fc
  .tuple(fc.constantFrom<DType>("f32", "f32", "f32", "f32", "i32", "u32", "bool"), shapes, fc.noBias(fc.nat(2)))
  .chain(([dtype, shape, wild]) => {
    return fc
      .array(values(dtype, wild === 0), { minLength: 1, maxLength: 24 })
      .map((elements) => ({ dtype, shape, elements }));
  });

/**
 * The elements of an input, which repeat those of its description.
 * @example console.log(inputData({ dtype: "f32", shape: [2, 2], elements: [1, 2, 3] })); // Float32Array(4) [ 1, 2, 3, 1 ]
 */
export function inputData({ dtype, shape, elements }: InputSpec): TensorData {
  const data = allocateData(dtype, sizeOf(shape));
  for (let i = 0; i < data.length; i++) data[i] = at(elements, (i * 7 + (i >> 3)) % elements.length);
  return data;
}

/** Operations that stand for many are drawn more often. */
const weights: { readonly [name: string]: number } = {
  unary: 9,
  arithmetic: 3,
  conv: 3,
  compare: 2,
  derivative: 3,
  reduce: 2,
  matmul: 2,
  indexed: 2,
};

const operationNames = Object.keys(operations).flatMap((name) => new Array<string>(weights[name] ?? 1).fill(name));

/** Mostly the newest values, so that most of what is computed reaches the results. */
const operand = fc.oneof(
  { weight: 3, arbitrary: fc.constant(0) },
  { weight: 2, arbitrary: fc.constant(1) },
  { weight: 3, arbitrary: fc.nat(7) },
);

// Without bias: small numbers would otherwise come far more often, and with them the first of every list of choices.
const choice = fc.noBias(fc.nat(99));

const instructions: fc.Arbitrary<Instruction> = fc.record({
  operation: fc.constantFrom(...operationNames),
  operands: fc.tuple(operand, operand, operand),
  choices: fc.tuple(choice, choice),
});

/** Random programs of one to fourteen instructions on one to four inputs, special values in some. */
export const programSpecs: fc.Arbitrary<ProgramSpec> = fc.record({
  inputs: fc.array(inputs, { minLength: 1, maxLength: 4 }),
  instructions: fc.array(instructions, { minLength: 1, maxLength: 14 }),
  outputs: fc.integer({ min: 1, max: 3 }),
});

/** Programs without loops: each has one plan. */
export const loopFreePrograms = programSpecs.map((spec): ProgramSpec => {
  return { ...spec, instructions: spec.instructions.filter(({ operation }) => operation !== "scan") };
});

/**
 * Runs a program's instructions on its inputs; the newest values are its results.
 * @param supports which primitives there may be: inputs and instructions that need others are left out
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * const program: ProgramSpec = {
 *   inputs: [{ dtype: "f32", shape: [3], elements: [1, 2, 3] }],
 *   instructions: [{ operation: "arithmetic", operands: [0, 0, 0], choices: [0, 0] }],
 *   outputs: 1,
 * };
 * const given = program.inputs.map((input) => tensor(inputData(input), { shape: input.shape }));
 * console.log(await buildProgram(program, given)[0]?.array()); // [ 2, 4, 6 ]
 * ```
 */
export function buildProgram(
  spec: ProgramSpec,
  given: readonly Tensor[],
  supports?: (node: Node) => boolean,
): Tensor[] {
  const seen = new Set<Node>();
  const isSupported = ({ node }: Tensor): boolean => {
    if (supports === undefined) return true;
    const met = new Set(seen);
    if (!topologicalOrder([node], met).every(supports)) return false;
    for (const each of met) seen.add(each);
    return true;
  };
  const known = given.filter(isSupported);
  if (known.length === 0) return [];
  for (const instruction of spec.instructions) {
    const any = (i: 0 | 1 | 2): Tensor => at(known, known.length - 1 - (instruction.operands[i] % known.length));
    const apply = operations[instruction.operation];
    const value = apply?.({ any, of: (i, dtype) => toDtype(any(i), dtype), choices: instruction.choices });
    if (value !== undefined && value.size <= mostElements && isSupported(value)) known.push(value);
  }
  return known.slice(-spec.outputs);
}

/**
 * A program in words: inputs, then one instruction a line.
 * @example
 * ```ts
 * const instructions = [{ operation: "arithmetic", operands: [0, 0, 0], choices: [0, 0] }] as const;
 * const program = { inputs: [{ dtype: "f32", shape: [3], elements: [1, 2, 3] }], instructions, outputs: 1 } as const;
 * console.log(printProgram(program).split("\n")[0]); // input f32 [3] of 1 2 3
 * ```
 */
export function printProgram(spec: ProgramSpec): string {
  const elements = (list: readonly number[]): string =>
    list.map((value) => (Object.is(value, -0) ? "-0" : String(value))).join(" ");
  return [
    ...spec.inputs.map((input) => `input ${input.dtype} [${input.shape.join(", ")}] of ${elements(input.elements)}`),
    ...spec.instructions.map((i) => `${i.operation} operands ${i.operands.join(" ")} choices ${i.choices.join(" ")}`),
    `the newest ${spec.outputs} are results`,
  ].join("\n");
}
