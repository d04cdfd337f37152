/** Sums of products: matrices, Einstein's notation, determinants. */
import {
  add,
  absolute,
  argmax,
  divide,
  einsum,
  equal,
  expandDims,
  iota,
  matmul,
  multiply,
  negate,
  oneHot,
  ones,
  reduceSum,
  reshape,
  slice,
  squeeze,
  subtract,
  type Tensor,
  transpose,
  where,
} from "../../engine/index.ts";
import { flag, float, text, unused } from "../build/attributes.ts";
import type { NodeCall } from "../build/nodeCall.ts";
import { operator, type OperatorTable } from "../build/operator.ts";

type GemmAttributes = {
  readonly alpha: number;
  readonly beta: number;
  readonly transA: boolean;
  readonly transB: boolean;
};

const gemmAttributes = { alpha: float.or(1), beta: float.or(1), transA: flag(false), transB: flag(false) };

/** alpha A B + beta C. */
function gemm(call: NodeCall, { alpha, beta, transA, transB }: GemmAttributes): Tensor {
  const side = (i: number, isTransposed: boolean): Tensor =>
    isTransposed ? transpose(call.tensor(i)) : call.tensor(i);
  const scaled = (x: Tensor, factor: number): Tensor => (factor === 1 ? x : multiply(x, factor));
  const y = scaled(matmul(side(0, transA), side(1, transB)), alpha);
  return call.has(2) ? add(y, scaled(call.tensor(2), beta)) : y;
}

/** With the result's letters: without an arrow, those that are there once, in the order of the alphabet. */
function explicitEquation(equation: string): string {
  const terms = equation.replaceAll(" ", "");
  if (terms.includes("->")) return terms;
  const letters = terms.replaceAll(",", "").replaceAll("...", "").split("");
  const once = [...new Set(letters)].filter((letter) => letters.filter((other) => other === letter).length === 1);
  return `${terms}->${terms.includes("...") ? "..." : ""}${once.sort().join("")}`;
}

/** `...` as letters that no term has. */
function withoutEllipsis(equation: string, operands: readonly Tensor[]): string {
  if (!equation.includes("...")) return equation;
  const free = "ZYXWVUTSRQPONMLKJIHGFEDCBA".split("").filter((letter) => !equation.includes(letter));
  const [terms = "", result = ""] = equation.split("->");
  const ranks = terms.split(",").map((term, i) => (operands[i]?.rank ?? 0) - term.replace("...", "").length);
  const most = Math.max(0, ...ranks);
  const filled = terms
    .split(",")
    .map((term, i) => term.replace("...", free.slice(most - (ranks[i] ?? 0), most).join("")));
  return `${filled.join(",")}->${result.replace("...", free.slice(0, most).join(""))}`;
}

/** An operand with each letter once: of one that is there twice, the diagonal. */
function diagonalOf(x: Tensor, term: string): { readonly x: Tensor; readonly term: string } {
  let y = x;
  const letters = term.split("");
  letters.forEach((letter, axis) => {
    const first = letters.indexOf(letter);
    if (first === axis) return;
    const isOn = equal(iota(y.shape, axis), iota(y.shape, first));
    y = reduceSum(where(isOn, y, 0), { axes: axis, keepAxes: true });
  });
  const isKept = (axis: number): boolean => letters.indexOf(letters[axis] ?? "") === axis;
  return {
    x: reshape(
      y,
      y.shape.filter((_, axis) => isKept(axis)),
    ),
    term: letters.filter((_, axis) => isKept(axis)).join(""),
  };
}

function einsteinSum(call: NodeCall, given: string): Tensor {
  const operands = call.tensors();
  const equation = withoutEllipsis(explicitEquation(given), operands);
  const [terms = "", result = ""] = equation.split("->");
  const parts = terms.split(",").map((term, i) => diagonalOf(call.tensor(i), term));
  return einsum(`${parts.map(({ term }) => term).join(",")}->${result}`, ...parts.map(({ x }) => x));
}

/** Determinants of [.., n, n] by elimination, with the largest pivot of each column. */
function determinant(x: Tensor): Tensor {
  const batch = x.shape.slice(0, -2);
  const whole = batch.map(() => null);
  let rest = x;
  let result = ones(batch);
  for (let size = x.shape.at(-1) ?? 0; size > 0; size--) {
    const column = squeeze(slice(rest, [...whole, null, [0, 1]]), -1);
    const isPivot = oneHot(argmax(absolute(column), -1), size, "bool");
    const row = reduceSum(where(expandDims(isPivot, -1), rest, 0), { axes: -2, keepAxes: true });
    const swapped = where(expandDims(isPivot, -1), slice(rest, [...whole, [0, 1]]), rest);
    const pivot = squeeze(slice(row, [...whole, null, [0, 1]]), [-2, -1]);
    const isFirst = squeeze(slice(isPivot, [...whole, [0, 1]]), -1);
    result = multiply(result, where(isFirst, pivot, negate(pivot)));
    if (size === 1) break;
    const below = slice(swapped, [...whole, [1, size], [1, size]]);
    const factor = divide(slice(swapped, [...whole, [1, size], [0, 1]]), expandDims(expandDims(pivot, -1), -1));
    rest = subtract(below, multiply(factor, slice(row, [...whole, null, [1, size]])));
  }
  return result;
}

export const products: OperatorTable = {
  MatMul: operator({ build: (call) => matmul(call.tensor(0), call.tensor(1)) }),
  Gemm: [
    operator({ attributes: { ...gemmAttributes, broadcast: unused }, build: gemm }),
    operator({ since: 7, attributes: gemmAttributes, build: gemm }),
  ],
  Einsum: operator({
    since: 12,
    attributes: { equation: text.required },
    build: (call, { equation }) => einsteinSum(call, equation),
  }),
  Det: operator({
    since: 11,
    roundabout: "determinant",
    build: (call) => determinant(call.tensor(0)),
  }),
};
