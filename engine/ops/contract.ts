import { EvenkeelError } from "../errors.ts";
import { makeNode } from "../graph/graph.ts";
import { at, broadcastShapes, formatShape, sizeOf } from "../graph/shape.ts";
import { Tensor } from "../graph/tensor.ts";
import { broadcastTo, expandDims, permute, reshape, squeeze } from "./movement.ts";
import { reduceSum } from "./reduce.ts";
import { multiply, requireDtype } from "./elementwise.ts";

/**
 * Matrix product over the last two axes, as NumPy's `@`: [.., M, K] @ [.., K, N] = [.., M, N], axes in front broadcast,
 * a vector is a row on the left and a column on the right. f32.
 * @throws EvenkeelError `shape` if the inner sizes differ or the batch axes don't broadcast.
 * @example console.log(await matmul(tensor([[1, 2], [3, 4]]), tensor([1, 10])).array()); // [ 21, 43 ]
 */
export function matmul(a: Tensor, b: Tensor): Tensor {
  if (a.rank === 0 || b.rank === 0) {
    throw new EvenkeelError(
      "shape",
      `matmul: ${formatShape(a.shape)} @ ${formatShape(b.shape)}: a scalar has no inner axis. Use multiply.`,
    );
  }
  requireDtype("matmul", a.dtype, ["f32"]);
  requireDtype("matmul", b.dtype, ["f32"]);
  const left = a.rank === 1 ? expandDims(a, 0) : a;
  const right = b.rank === 1 ? expandDims(b, 1) : b;
  const [rows, inner] = [at(left.shape, left.rank - 2), at(left.shape, left.rank - 1)];
  const [rightInner, columns] = [at(right.shape, right.rank - 2), at(right.shape, right.rank - 1)];
  if (inner !== rightInner) {
    throw new EvenkeelError(
      "shape",
      `matmul: inner dimensions differ: ${formatShape(a.shape)} @ ${formatShape(b.shape)}.`,
    );
  }
  const batch = broadcastShapes("matmul", left.shape.slice(0, -2), right.shape.slice(0, -2));
  const flat = (x: Tensor): Tensor => {
    const matrix = x.shape.slice(-2);
    return reshape(broadcastTo(x, [...batch, ...matrix]), [sizeOf(batch), ...matrix]);
  };
  const product = new Tensor(makeNode("matmul", [flat(left).node, flat(right).node], {}));
  const full = reshape(product, [...batch, rows, columns]);
  if (a.rank === 1) return squeeze(full, b.rank === 1 ? [-2, -1] : -2);
  return b.rank === 1 ? squeeze(full, -1) : full;
}

/**
 * Sum of products by index letters: `einsum("bqd,bkd->bqk", q, k)`. Two operands (or one); each letter at most once an
 * operand; letters missing from the result are summed. Letters shared by both and kept are batch axes; the rest becomes
 * one batched matrix product.
 * @throws EvenkeelError `shape` if ranks or sizes don't fit the letters, `value` if the equation can't be read.
 */
export function einsum(equation: string, ...operands: readonly Tensor[]): Tensor {
  const parts = /^([a-zA-Z]*)(?:,([a-zA-Z]*))?->([a-zA-Z]*)$/.exec(equation.replaceAll(" ", ""));
  const [first = [], second, result = []] = (parts ?? []).slice(1).map((term: string | undefined) => term?.split(""));
  const terms = second === undefined ? [first] : [first, second];
  if (
    parts === null ||
    terms.length !== operands.length ||
    [...terms, result].some((t) => new Set(t).size !== t.length)
  ) {
    throw new EvenkeelError(
      "value",
      `einsum: can't read "${equation}" for ${operands.length} operands. Expected one or two terms like "ij,jk->ik", each letter once a term.`,
    );
  }
  const sizes = letterSizes(equation, terms, operands);
  for (const letter of result) {
    if (!sizes.has(letter)) throw new EvenkeelError("value", `einsum: "${equation}": ${letter} is in the result only.`);
  }
  const arrange = (x: Tensor, from: readonly string[], to: readonly string[]): Tensor =>
    permute(
      x,
      to.map((letter) => from.indexOf(letter)),
    );
  // Letters of one operand that are summed need no product: sum them first.
  const reduced = terms.map((term, i) => {
    const isGone = (letter: string): boolean =>
      !result.includes(letter) && !terms.some((t, j) => j !== i && t.includes(letter));
    const axes = term.flatMap((letter, axis) => (isGone(letter) ? [axis] : []));
    return {
      x: axes.length === 0 ? at(operands, i) : reduceSum(at(operands, i), { axes }),
      letters: term.filter((letter) => !isGone(letter)),
    };
  });
  const [a, b] = [at(reduced, 0), reduced[1]];
  if (b === undefined) return arrange(a.x, a.letters, result);
  const batch = a.letters.filter((letter) => b.letters.includes(letter) && result.includes(letter));
  const inner = a.letters.filter((letter) => b.letters.includes(letter) && !result.includes(letter));
  const rows = a.letters.filter((letter) => !b.letters.includes(letter));
  const columns = b.letters.filter((letter) => !a.letters.includes(letter));
  const shapeOf = (letters: readonly string[]): number[] => letters.map((letter) => sizes.get(letter) ?? 1);
  const sizeOfLetters = (letters: readonly string[]): number => sizeOf(shapeOf(letters));
  // Sums of products are matrix products; products alone know more dtypes.
  if (inner.length > 0) for (const operand of operands) requireDtype("einsum", operand.dtype, ["f32"]);
  const left = arrange(a.x, a.letters, [...batch, ...rows, ...inner]);
  const right = arrange(b.x, b.letters, [...batch, ...inner, ...columns]);
  const product =
    inner.length === 0
      ? multiply(
          reshape(left, [...shapeOf(batch), ...shapeOf(rows), ...columns.map(() => 1)]),
          reshape(right, [...shapeOf(batch), ...rows.map(() => 1), ...shapeOf(columns)]),
        )
      : matmul(
          reshape(left, [sizeOfLetters(batch), sizeOfLetters(rows), sizeOfLetters(inner)]),
          reshape(right, [sizeOfLetters(batch), sizeOfLetters(inner), sizeOfLetters(columns)]),
        );
  const letters = [...batch, ...rows, ...columns];
  return arrange(reshape(product, shapeOf(letters)), letters, result);
}

/** The size of each index letter. @throws EvenkeelError `shape` if an operand has another rank than letters, or sizes differ. */
function letterSizes(
  equation: string,
  terms: readonly (readonly string[])[],
  operands: readonly Tensor[],
): Map<string, number> {
  const sizes = new Map<string, number>();
  terms.forEach((term, i) => {
    const { shape } = at(operands, i);
    if (shape.length !== term.length) {
      const letters = `"${term.join("")}" has ${term.length} letters`;
      throw new EvenkeelError("shape", `einsum: "${equation}": operand ${i} is ${formatShape(shape)}, ${letters}.`);
    }
    term.forEach((letter, axis) => {
      const size = at(shape, axis);
      const known = sizes.get(letter) ?? size;
      if (known !== size) throw new EvenkeelError("shape", `einsum: "${equation}": ${letter} is ${known} and ${size}.`);
      sizes.set(letter, size);
    });
  });
  return sizes;
}
