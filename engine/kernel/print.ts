/** Kernels as readable loop nests. */
import { at } from "../graph/shape.ts";
import type { Affine, Kernel, Operand, Scalar, Store } from "./kernel.ts";
import { childrenOf, scalarsOf } from "./scalar.ts";

const letters = "ijklmnpqrstuvwxyz";

function axisName(axis: number): string {
  return axis < letters.length ? letters.charAt(axis) : `a${axis}`;
}

function affineText({ offset, coefficients }: Affine): string {
  const terms = coefficients.flatMap((coefficient, axis) => {
    if (coefficient === 0) return [];
    return [coefficient === 1 ? axisName(axis) : `${coefficient}*${axisName(axis)}`];
  });
  if (offset !== 0 || terms.length === 0) terms.push(String(offset));
  return terms.join(" + ").replaceAll("+ -", "- ");
}

/** One expression with its operands already in words. */
function scalarText(scalar: Scalar, text: (scalar: Scalar) => string): string {
  switch (scalar.kind) {
    case "load":
      return `x${scalar.operand}[${affineText(scalar.at)}]`;
    case "gather":
      return `x${scalar.operand}[${affineText(scalar.at)} + ${scalar.stride}*clamp(${text(scalar.index)}, 0, ${scalar.size - 1})]`;
    case "literal":
      return Object.is(scalar.value, -0) ? "-0" : String(scalar.value);
    case "index":
      return `${scalar.dtype}(${affineText(scalar.at)})`;
    case "unary":
      return `${scalar.op}(${text(scalar.x)})`;
    case "binary":
    case "compare":
      return `${scalar.op}(${text(scalar.x)}, ${text(scalar.y)})`;
    case "select":
      return `select(${text(scalar.condition)}, ${text(scalar.x)}, ${text(scalar.y)})`;
    case "cast":
      return `${scalar.dtype}(${text(scalar.x)})`;
    case "shift":
      return `shift ${scalar.direction} ${scalar.amount} (${text(scalar.x)})`;
    case "threefry":
      return `threefry.${scalar.word}(${[scalar.key0, scalar.key1, scalar.counter0, scalar.counter1].map(text).join(", ")})`;
    case "region": {
      const { axis, start, stop, inside, outside } = scalar;
      return `(${start} <= ${axisName(axis)} < ${stop} ? ${text(inside)} : ${text(outside)})`;
    }
    case "within": {
      const { at: place, start, stop, inside, outside } = scalar;
      return `(${start} <= ${affineText(place)} < ${stop} ? ${text(inside)} : ${text(outside)})`;
    }
    case "accumulator":
      return "accumulator";
  }
}

/** Expressions as lines, each behind a text of its own: values used more than once get a name first. */
function expressionLines(
  roots: readonly { readonly root: Scalar; readonly text: string }[],
  indent: string,
  prefix: string,
): string[] {
  const scalars = scalarsOf(...roots.map(({ root }) => root));
  const uses = new Map<Scalar, number>();
  const users = [...scalars.flatMap(childrenOf), ...roots.map(({ root }) => root)];
  for (const used of users) uses.set(used, (uses.get(used) ?? 0) + 1);
  const names = new Map<Scalar, string>();
  const text = (scalar: Scalar): string => names.get(scalar) ?? scalarText(scalar, text);
  const lines = scalars.flatMap((scalar) => {
    const isPlain = scalar.kind === "literal" || scalar.kind === "accumulator";
    if ((uses.get(scalar) ?? 0) < 2 || isPlain) return [];
    const line = `${indent}${prefix}${names.size} = ${scalarText(scalar, text)}`;
    names.set(scalar, `${prefix}${names.size}`);
    return [line];
  });
  return [...lines, ...roots.map(({ root, text: before }) => `${indent}${before} ${text(root)}`)];
}

/**
 * A kernel as a loop nest: `x0`, `x1`, ... are its operands, `y` its result (`y0`, `y1`, ... if there are several), addresses count
 * elements.
 * @example
 * ```ts
 * import { tensor, type Tensor } from "evenkeel/engine";
 *
 * const { graph } = await graphCase((x: Tensor) => x.multiply(x), tensor([1, 2]));
 * const { steps } = await planGraph(graph, new ReferenceDevice("arena"));
 * console.log(steps.map(({ kernel }) => printKernel(kernel).split("\n")[0])); // [ 'multiply_0(x0: f32[2]) -> y: f32[2]' ]
 * ```
 */
export function printKernel(kernel: Kernel): string {
  const { axes, operands, reduction, stores } = kernel;
  const resultName = (index: number): string => (stores.length === 1 ? "y" : `y${index}`);
  const array = (name: string, { dtype, storage, length }: Operand | Store): string =>
    `${name}: ${storage ?? dtype}[${length}]`;
  const read = operands.map((operand, i) => array(`x${i}`, operand));
  const results = stores.map((store, i) => array(resultName(i), store));
  const lines = [`${kernel.name}(${read.join(", ")}) -> ${results.join(", ")}`];
  let indent = "  ";
  const loops = (role: "parallel" | "reduce"): void => {
    axes.forEach((axis, number) => {
      if (axis.role !== role) return;
      lines.push(`${indent}${role} ${axisName(number)} < ${at(axes, number).size}`);
      indent += "  ";
    });
  };
  loops("parallel");
  const outside = indent;
  if (reduction !== null) {
    loops("reduce");
    lines.push(...expressionLines([{ root: reduction.body, text: `${reduction.op} of` }], indent, "t"));
  }
  const stored = stores.map(({ value, at: to }, i) => ({ root: value, text: `${resultName(i)}[${affineText(to)}] =` }));
  return [...lines, ...expressionLines(stored, outside, reduction === null ? "t" : "e")].join("\n");
}
