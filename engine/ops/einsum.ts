import { EvenkeelError } from "../errors.ts";
import { at, formatShape, sizeOf } from "../graph/shape.ts";
import type { Tensor } from "../graph/tensor.ts";
import { matmul } from "./contract.ts";
import { multiply, requireDtype } from "./elementwise.ts";
import { permute, reshape, slice } from "./movement.ts";
import { reduceSum } from "./reduce.ts";

/** An index: a letter, or one of the axes that `...` stands for, counted from the last. */
type Label = string;

/** A value whose axes have labels, each once. */
type Term = { readonly x: Tensor; readonly labels: readonly Label[] };

/**
 * Sum of products by index letters, as NumPy's: `einsum("bqd,bkd->bqk", q, k)`. Letters missing from the result are summed. A letter
 * twice in a term is a diagonal (`"ii->i"`); `...` stands for the axes that the letters leave, aligned from the last, and is summed, too, if the
 * result lacks it; axes of size 1 are broadcast. Without `->` the result has what `...` stands for and then, in alphabetical order (capitals first), the letters that
 * occur once.
 *
 * Three and more operands are multiplied two at a time, in the order with fewest multiplications (with more than eight, the cheapest pair
 * first, until eight are left). Letters shared by two operands and kept are batch axes; the rest becomes one batched matrix product.
 * Sums are of f32, products without sums of any numbers.
 * @throws EvenkeelError `shape` if ranks or sizes don't fit the letters, `value` if the equation can't be read.
 * @example
 * ```ts
 * const [matrix, vector] = [tensor([[1, 2], [3, 4]]), tensor([10, 1])];
 * console.log(await einsum("ij,j->i", matrix, vector).array()); // [ 12, 34 ]
 * console.log(await einsum("ii", matrix).array()); // 5
 * ```
 */
export function einsum(equation: string, ...operands: readonly Tensor[]): Tensor {
  const { terms, result } = readEquation(equation, operands);
  const sizes = sizesOf(equation, terms, operands);
  const values = terms.map((labels, i) => simpleTerm({ x: at(operands, i), labels }, sizes));
  const { x, labels } = contractAll(values, result, sizes);
  return arranged(x, labels, result);
}

function readEquation(
  equation: string,
  operands: readonly Tensor[],
): { readonly terms: readonly Label[][]; readonly result: readonly Label[] } {
  const unreadable = (): EvenkeelError =>
    new EvenkeelError(
      "value",
      `einsum: can't read "${equation}" for ${operands.length} operands. Expected one term of letters an operand, each with "..." at most once, ` +
        'and perhaps "->" with letters of the terms, each once: "ij,jk->ik".',
    );
  const [left = "", right, ...more] = equation.replaceAll(" ", "").split("->");
  const texts = left.split(",");
  const isTerm = (text: string): boolean => /^[a-zA-Z]*(\.\.\.)?[a-zA-Z]*$/.test(text);
  if (more.length > 0 || texts.length !== operands.length || ![...texts, right ?? ""].every(isTerm)) throw unreadable();
  const lettersOf = (text: string): string[] => Array.from(text.replace("...", ""));
  const open = texts.map((text, i) => {
    if (!text.includes("...")) return 0;
    const { shape } = at(operands, i);
    const count = shape.length - lettersOf(text).length;
    if (count < 0) throw wrongRank(equation, i, text, shape);
    return count;
  });
  const ellipsis = (count: number): Label[] => Array.from({ length: count }, (_, i) => `...${count - 1 - i}`);
  const labelsOf = (text: string, count: number): Label[] => {
    const [before = "", after] = text.split("...");
    return [...Array.from(before), ...(after === undefined ? [] : [...ellipsis(count), ...Array.from(after)])];
  };
  const terms = texts.map((text, i) => labelsOf(text, at(open, i)));
  texts.forEach((text, i) => {
    const { shape } = at(operands, i);
    if (at(terms, i).length !== shape.length) throw wrongRank(equation, i, text, shape);
  });
  const widest = Math.max(0, ...open);
  if (right === undefined) {
    const letters = texts.flatMap(lettersOf);
    const once = letters.filter((letter) => letters.indexOf(letter) === letters.lastIndexOf(letter));
    return { terms, result: [...ellipsis(widest), ...once.sort((a, b) => (a < b ? -1 : 1))] };
  }
  const result = labelsOf(right, widest);
  if (new Set(result).size !== result.length) throw unreadable();
  const known = new Set(terms.flat());
  const unknown = result.find((label) => !known.has(label));
  if (unknown !== undefined) {
    throw new EvenkeelError("value", `einsum: "${equation}": ${unknown} is in the result only.`);
  }
  return { terms, result };
}

function wrongRank(equation: string, operand: number, text: string, shape: readonly number[]): EvenkeelError {
  const count = text.replace("...", "").length;
  const letters = `"${text}" has ${text.includes("...") ? "at least " : ""}${count} letters`;
  return new EvenkeelError("shape", `einsum: "${equation}": operand ${operand} is ${formatShape(shape)}, ${letters}.`);
}

/** The size of each label. @throws EvenkeelError `shape` if sizes differ and none of them is 1 */
function sizesOf(
  equation: string,
  terms: readonly (readonly Label[])[],
  operands: readonly Tensor[],
): ReadonlyMap<Label, number> {
  const sizes = new Map<Label, number>();
  terms.forEach((term, i) => {
    term.forEach((label, axis) => {
      const size = at(at(operands, i).shape, axis);
      const known = sizes.get(label) ?? 1;
      if (known !== size && known !== 1 && size !== 1) {
        throw new EvenkeelError("shape", `einsum: "${equation}": ${label} is ${known} and ${size}.`);
      }
      sizes.set(label, known === 1 ? size : known);
    });
  });
  return sizes;
}

/** Each label once: of one that occurs twice the diagonal is left. Axes of size 1 that are larger elsewhere are dropped. */
function simpleTerm({ x, labels }: Term, sizes: ReadonlyMap<Label, number>): Term {
  const isLarge = (axis: number): boolean => x.shape[axis] === sizes.get(at(labels, axis));
  if (!labels.every((_, axis) => isLarge(axis))) {
    const kept = labels.map((_, axis) => axis).filter(isLarge);
    const smaller = reshape(
      x,
      kept.map((axis) => at(x.shape, axis)),
    );
    return simpleTerm({ x: smaller, labels: kept.map((axis) => at(labels, axis)) }, sizes);
  }
  const second = labels.findIndex((label, axis) => labels.indexOf(label) < axis);
  if (second < 0) return { x, labels };
  const first = labels.indexOf(at(labels, second));
  const others = labels.map((_, axis) => axis).filter((axis) => axis !== first && axis !== second);
  const size = at(x.shape, first);
  const outer = others.map((axis) => at(x.shape, axis));
  // [.., n, n] in a row: every (n + 1)th element is on the diagonal.
  const row = reshape(permute(x, [...others, first, second]), [...outer, size * size]);
  const diagonal = size === 0 ? row : slice(row, [...outer.map(() => null), [0, size * size, size + 1]]);
  return simpleTerm({ x: diagonal, labels: [...others, first].map((axis) => at(labels, axis)) }, sizes);
}

const arranged = (x: Tensor, from: readonly Label[], to: readonly Label[]): Tensor =>
  permute(
    x,
    to.map((label) => from.indexOf(label)),
  );

/** Labels that are still wanted where `rest` and the result are to come. */
const wantedBy = (result: readonly Label[], rest: readonly Term[]): ReadonlySet<Label> =>
  new Set([...result, ...rest.flatMap(({ labels }) => labels)]);

/** So many operands are tried in every order. */
const mostTried = 8;

function contractAll(terms: readonly Term[], result: readonly Label[], sizes: ReadonlyMap<Label, number>): Term {
  const [first, ...others] = terms;
  if (first === undefined) throw new RangeError("no operands");
  if (others.length === 0) return summed(first, new Set(result));
  if (terms.length > mostTried) {
    const [left, right] = cheapestPair(terms, sizes);
    const rest = terms.filter((term) => term !== left && term !== right);
    return contractAll([...rest, contractPair(left, right, wantedBy(result, rest), sizes)], result, sizes);
  }
  return contractTree(bestTree(terms, result, sizes), terms, result, sizes);
}

const pointsOf = (labels: Iterable<Label>, sizes: ReadonlyMap<Label, number>): number =>
  [...labels].reduce((product, label) => product * (sizes.get(label) ?? 1), 1);

function cheapestPair(terms: readonly Term[], sizes: ReadonlyMap<Label, number>): readonly [Term, Term] {
  const pairs = terms.flatMap((left, i) => terms.slice(i + 1).map((right): readonly [Term, Term] => [left, right]));
  const cost = ([left, right]: readonly [Term, Term]): number =>
    pointsOf(new Set([...left.labels, ...right.labels]), sizes);
  return pairs.reduce((best, pair) => (cost(pair) < cost(best) ? pair : best));
}

/** Which operands are multiplied with which: the number of one, or two such trees. */
type Tree = number | readonly [Tree, Tree];

/** The tree with fewest multiplications: the best one of each set of operands, from small sets to large ones. */
function bestTree(terms: readonly Term[], result: readonly Label[], sizes: ReadonlyMap<Label, number>): Tree {
  const all = 2 ** terms.length - 1;
  const inSet = (set: number): Term[] => terms.filter((_, i) => (set >> i) % 2 === 1);
  const labelsOf = (set: number): Label[] => {
    const wanted = wantedBy(result, inSet(all - set));
    const labels = new Set(inSet(set).flatMap((term) => term.labels));
    return [...labels].filter((label) => wanted.has(label));
  };
  const best = new Map<number, { readonly tree: Tree; readonly cost: number; readonly labels: readonly Label[] }>();
  for (let set = 1; set <= all; set++) {
    const labels = labelsOf(set);
    const alone = terms.findIndex((_, i) => set === 1 << i);
    if (alone >= 0) best.set(set, { tree: alone, cost: 0, labels });
    // Each way to part it in two once: the part with the lowest operand first.
    for (let part = (set - 1) & set; part > 0; part = (part - 1) & set) {
      const [left, right] = [best.get(part), best.get(set - part)];
      if (part < set - part || left === undefined || right === undefined) continue;
      const cost = left.cost + right.cost + pointsOf(new Set([...left.labels, ...right.labels]), sizes);
      if (cost < (best.get(set)?.cost ?? Infinity)) best.set(set, { tree: [right.tree, left.tree], cost, labels });
    }
  }
  const found = best.get(all);
  if (found === undefined) throw new RangeError("no operands");
  return found.tree;
}

function contractTree(
  tree: Tree,
  terms: readonly Term[],
  result: readonly Label[],
  sizes: ReadonlyMap<Label, number>,
): Term {
  const operandsOf = (part: Tree): number[] => (typeof part === "number" ? [part] : part.flatMap(operandsOf));
  const contract = (part: Tree): Term => {
    if (typeof part === "number") return at(terms, part);
    const inside = operandsOf(part);
    const rest = terms.filter((_, i) => !inside.includes(i));
    return contractPair(contract(part[0]), contract(part[1]), wantedBy(result, rest), sizes);
  };
  return contract(tree);
}

/** Without the labels that nobody wants. */
function summed({ x, labels }: Term, wanted: ReadonlySet<Label>): Term {
  const axes = labels.flatMap((label, axis) => (wanted.has(label) ? [] : [axis]));
  if (axes.length === 0) return { x, labels };
  return { x: reduceSum(x, { axes }), labels: labels.filter((label) => wanted.has(label)) };
}

/** The product of two, with the labels of either that are wanted. */
function contractPair(left: Term, right: Term, wanted: ReadonlySet<Label>, sizes: ReadonlyMap<Label, number>): Term {
  // Labels of one operand that are summed need no product: sum them first.
  const a = summed(left, new Set([...wanted, ...right.labels]));
  const b = summed(right, new Set([...wanted, ...left.labels]));
  const shared = a.labels.filter((label) => b.labels.includes(label));
  const batch = shared.filter((label) => wanted.has(label));
  const inner = shared.filter((label) => !wanted.has(label));
  const rows = a.labels.filter((label) => !b.labels.includes(label));
  const columns = b.labels.filter((label) => !a.labels.includes(label));
  const shapeOf = (labels: readonly Label[]): number[] => labels.map((label) => sizes.get(label) ?? 1);
  const sizeOfLabels = (labels: readonly Label[]): number => sizeOf(shapeOf(labels));
  // Sums of products are matrix products; products alone know more dtypes.
  if (inner.length > 0) for (const { x } of [a, b]) requireDtype("einsum", x.dtype, ["f32"]);
  const first = arranged(a.x, a.labels, [...batch, ...rows, ...inner]);
  const second = arranged(b.x, b.labels, [...batch, ...inner, ...columns]);
  const product =
    inner.length === 0
      ? multiply(
          reshape(first, [...shapeOf(batch), ...shapeOf(rows), ...columns.map(() => 1)]),
          reshape(second, [...shapeOf(batch), ...rows.map(() => 1), ...shapeOf(columns)]),
        )
      : matmul(
          reshape(first, [sizeOfLabels(batch), sizeOfLabels(rows), sizeOfLabels(inner)]),
          reshape(second, [sizeOfLabels(batch), sizeOfLabels(inner), sizeOfLabels(columns)]),
        );
  const labels = [...batch, ...rows, ...columns];
  return { x: reshape(product, shapeOf(labels)), labels };
}
