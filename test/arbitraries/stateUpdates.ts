/**
 * Random updates of a state of matrices, filters and images of sizes at which products and convolutions take their fast paths:
 * each new leaf is any value of its shape that the update has made or found, another leaf's old one and the same one twice included.
 */
import fc from "fast-check";
import { at } from "../../engine/graph/shape.ts";
import {
  absolute,
  add,
  cast,
  clamp,
  concat,
  conv2d,
  flip,
  gather,
  grad,
  isFinite,
  matmul,
  maximum,
  multiply,
  permute,
  reduceSum,
  reshape,
  scatterAdd,
  slice,
  subtract,
  type Tensor,
  tensor,
  transpose,
  where,
} from "../../engine/index.ts";

/** Values by shape: matrices [17, 17] or [16, 16] or [20, 20], filters [8, 8, 3, 3], images [2, 8, 8, 8]. */
export type Leaves = { readonly matrices: Tensor[]; readonly filters: Tensor[]; readonly images: Tensor[] };
export const kindsOfLeaves = ["matrices", "filters", "images"] as const;
type KindOfLeaves = (typeof kindsOfLeaves)[number];

const leavesOfAKind = 3;

export type UpdateSpec = {
  /** Rows and columns of the matrices. */
  readonly size: number;
  readonly instructions: readonly {
    readonly kind: KindOfLeaves;
    readonly operation: number;
    /** Counted back from the newest value. */
    readonly operands: readonly [number, number, number];
  }[];
  /** Of each kind, which of its values each new leaf is, counted back from the newest. */
  readonly chosen: { readonly [K in KindOfLeaves]: readonly number[] };
};

const operand = fc.noBias(fc.nat(5));

export const updateSpecs: fc.Arbitrary<UpdateSpec> = fc.record({
  size: fc.constantFrom(16, 17, 20),
  instructions: fc.array(
    fc.record({
      kind: fc.constantFrom(...kindsOfLeaves),
      operation: fc.noBias(fc.nat(999)),
      operands: fc.tuple(operand, operand, operand),
    }),
    { minLength: 1, maxLength: 10 },
  ),
  chosen: fc.record({
    matrices: fc.array(operand, { minLength: leavesOfAKind, maxLength: leavesOfAKind }),
    filters: fc.array(operand, { minLength: leavesOfAKind, maxLength: leavesOfAKind }),
    images: fc.array(operand, { minLength: leavesOfAKind, maxLength: leavesOfAKind }),
  }),
});

type Operation = (x: Tensor, y: Tensor, z: Tensor) => Tensor;

/** What is defined for any shape. */
const elementwise: readonly Operation[] = [
  add,
  (x, y) => subtract(x, multiply(y, 0.5)),
  multiply,
  (x, y, z) => where(isFinite(reduceSum(z)), add(x, y), y),
  (x) => flip(x, 0),
  (x, y) => add(x, flip(y, -1)),
  (x, y) => subtract(x, reduceSum(multiply(x, y), { axes: -1, keepAxes: true })),
  (x, y) => concat([slice(x, [[1]]), slice(y, [[0, 1]])], 0),
];

/** A whole number from 0 to 8 for each row. */
const rowsOf = (x: Tensor): Tensor => cast(reshape(absolute(slice(x, [null, [0, 1]])), [at(x.shape, 0)]), "i32");

const operationsOf = (kind: KindOfLeaves, back: (kind: KindOfLeaves, n: number) => Tensor): readonly Operation[] => {
  const filter = (n: number): Tensor => back("filters", n);
  const image = (n: number): Tensor => back("images", n);
  const convolved = (x: Tensor, w: Tensor): Tensor => conv2d(x, w, { padding: 1 });
  const own: { readonly [K in KindOfLeaves]: readonly Operation[] } = {
    matrices: [
      (x, y, z) => add(x, matmul(y, z)),
      (x, y, z) => subtract(matmul(transpose(y), z), x),
      (x, y) => add(transpose(x), matmul(x, y)),
      (x, y) => multiply(x, maximum(matmul(x, transpose(y)), 0)),
      // A step down the gradient of a table, of which some rows are taken several times.
      (w, x, y) => subtract(w, multiply(grad((u: Tensor) => reduceSum(multiply(gather(u, rowsOf(y)), x)))(w), 0.01)),
      (x, y) => add(y, scatterAdd(multiply(x, y), rowsOf(y), at(x.shape, 1), 1)),
      // A step down the gradient of a layer.
      (w, x) => subtract(w, multiply(grad((u: Tensor) => reduceSum(multiply(matmul(x, u), matmul(x, u))))(w), 0.01)),
    ],
    filters: [
      (w) => subtract(w, multiply(grad((u: Tensor) => reduceSum(multiply(convolved(image(0), u), image(1))))(w), 0.01)),
      (w, v) => add(v, grad((u: Tensor) => reduceSum(multiply(convolved(image(1), u), convolved(image(0), w))))(v)),
      (w) => permute(w, [1, 0, 3, 2]),
    ],
    images: [
      (x, y) => add(x, convolved(y, filter(0))),
      (x, y) => maximum(subtract(convolved(x, filter(1)), y), 0),
      (x, y) => add(x, grad((u: Tensor) => reduceSum(multiply(convolved(u, filter(0)), y)))(x)),
      (x, y) => add(x, conv2d(y, slice(filter(0), [null, null, [1, 2], [1, 2]]))),
    ],
  };
  return [...own[kind], ...own[kind], ...elementwise];
};

/** The new leaves. Values stay small. */
export function updateLeaves(spec: UpdateSpec, old: Leaves): { readonly state: Leaves; readonly result: Leaves } {
  const values = { matrices: [...old.matrices], filters: [...old.filters], images: [...old.images] };
  const back = (kind: KindOfLeaves, n: number): Tensor => {
    const list = values[kind];
    return at(list, list.length - 1 - (n % list.length));
  };
  for (const { kind, operation, operands } of spec.instructions) {
    const operations = operationsOf(kind, back);
    const apply = at(operations, operation % operations.length);
    const [x, y, z] = operands.map((n) => back(kind, n));
    values[kind].push(clamp(apply(x as Tensor, y as Tensor, z as Tensor), -8, 8));
  }
  const pick = (kind: KindOfLeaves): Tensor[] => spec.chosen[kind].map((n) => back(kind, n));
  return {
    state: { matrices: pick("matrices"), filters: pick("filters"), images: pick("images") },
    result: { matrices: [back("matrices", 1)], filters: [back("filters", 1)], images: [back("images", 1)] },
  };
}

/** Leaves to begin with. */
export function firstLeaves({ size }: UpdateSpec): Leaves {
  const shapes = { matrices: [size, size], filters: [8, 8, 3, 3], images: [2, 8, 8, 8] };
  const leaf = (kind: KindOfLeaves, number: number): Tensor => {
    const shape = shapes[kind];
    const length = shape.reduce((product, axis) => product * axis, 1);
    return tensor(
      Float32Array.from({ length }, (_, i) => Math.sin(i * (number + 1) + shape.length)),
      { shape },
    );
  };
  const some = (kind: KindOfLeaves): Tensor[] => Array.from({ length: leavesOfAKind }, (_, i) => leaf(kind, i));
  return { matrices: some("matrices"), filters: some("filters"), images: some("images") };
}
