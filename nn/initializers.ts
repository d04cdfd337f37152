import {
  add,
  EvenkeelError,
  matmul,
  multiply,
  randomNormal,
  randomTruncatedNormal,
  randomUniform,
  rsqrt,
  type Shape,
  square,
  reduceSum,
  reshape,
  type Tensor,
  transpose,
  zeros,
} from "../engine/index.ts";

/**
 * How an array is drawn.
 *
 * - `normal`: mean 0, standard deviation `scale`. `constant`: `value` everywhere. `uniform`: from `low` to `high`.
 * - `truncatedNormal`: normal with standard deviation `scale` before what lies beyond `reach` (default 2) of them is left out.
 * - `kaimingUniform`, `kaimingNormal` (He et al. 2015): variance gain^2 / fan, of the inputs (`fan` "in", the default) or outputs; gain by
 *   default sqrt(2), for relu.
 * - `xavierUniform`, `xavierNormal` (Glorot and Bengio 2010): variance gain^2 * 2 / (inputs + outputs); gain by default 1.
 * - `orthogonal` (Saxe et al. 2014): as a matrix [out, everything else], rows or columns, whichever are fewer, are orthogonal and of length
 *   `gain` (default 1).
 *
 * Weights are [out, in, ...kernel]; what an output sums over, in * kernel, are its inputs.
 */
export type Initializer =
  | { readonly kind: "normal"; readonly scale: number }
  | { readonly kind: "constant"; readonly value: number }
  | { readonly kind: "uniform"; readonly low: number; readonly high: number }
  | { readonly kind: "truncatedNormal"; readonly scale: number; readonly reach?: number }
  | { readonly kind: "kaimingUniform" | "kaimingNormal"; readonly gain?: number; readonly fan?: "in" | "out" }
  | { readonly kind: "xavierUniform" | "xavierNormal"; readonly gain?: number }
  | { readonly kind: "orthogonal"; readonly gain?: number };

/** An array of this shape as an initializer says. @throws EvenkeelError `shape` where inputs and outputs count and the shape has none. */
export function drawArray(key: Tensor, shape: Shape, init: Initializer): Tensor {
  switch (init.kind) {
    case "normal":
      return init.scale === 1 ? randomNormal(key, shape) : randomNormal(key, shape).multiply(init.scale);
    case "constant":
      return init.value === 0 ? zeros(shape) : zeros(shape).add(init.value);
    case "uniform":
      return randomUniform(key, shape, init.low, init.high);
    case "truncatedNormal": {
      const { scale, reach = 2 } = init;
      return multiply(randomTruncatedNormal(key, shape, -reach, reach), scale);
    }
    case "kaimingUniform":
    case "kaimingNormal": {
      const { gain = Math.SQRT2, fan = "in" } = init;
      const deviation = gain / Math.sqrt(fansOf(init.kind, shape)[fan]);
      return init.kind === "kaimingNormal" ? normalOf(key, shape, deviation) : uniformOf(key, shape, deviation);
    }
    case "xavierUniform":
    case "xavierNormal": {
      const fans = fansOf(init.kind, shape);
      const deviation = (init.gain ?? 1) * Math.sqrt(2 / (fans.in + fans.out));
      return init.kind === "xavierNormal" ? normalOf(key, shape, deviation) : uniformOf(key, shape, deviation);
    }
    case "orthogonal":
      return orthogonal(key, shape, init.gain ?? 1);
  }
}

const normalOf = (key: Tensor, shape: Shape, deviation: number): Tensor =>
  multiply(randomNormal(key, shape), deviation);

/** Uniform numbers within +-a have the standard deviation a / sqrt(3). */
function uniformOf(key: Tensor, shape: Shape, deviation: number): Tensor {
  const bound = Math.sqrt(3) * deviation;
  return randomUniform(key, shape, -bound, bound);
}

/** Inputs and outputs of one element of weights [out, in, ...kernel]. */
function fansOf(kind: string, shape: Shape): { readonly in: number; readonly out: number } {
  const [out, inputs, ...kernel] = shape;
  if (out === undefined || inputs === undefined || shape.includes(0)) {
    throw new EvenkeelError(
      "shape",
      `initializer ${kind}: [${shape.join(", ")}] has no inputs and outputs; expected weights [out, in, ...kernel]. ` +
        "Use normal, uniform or constant.",
    );
  }
  const window = kernel.reduce((product, extent) => product * extent, 1);
  return { in: inputs * window, out: out * window };
}

/**
 * The nearest orthogonal matrix to one of standard normals, which is distributed evenly over all of them. By Newton and Schulz: X becomes
 * 1.5 X - 0.5 X X' X, which brings singular values s in (0, sqrt(3)) to 1.
 */
function orthogonal(key: Tensor, shape: Shape, gain: number): Tensor {
  const [rows] = shape;
  const size = shape.reduce((product, extent) => product * extent, 1);
  if (rows === undefined || shape.length < 2 || size === 0) {
    throw new EvenkeelError(
      "shape",
      `initializer orthogonal: [${shape.join(", ")}] is no matrix; expected [out, in, ...kernel].`,
    );
  }
  const drawn = reshape(randomNormal(key, shape), [rows, size / rows]);
  const isTall = rows > size / rows;
  let x = isTall ? transpose(drawn) : drawn;
  // No singular value is above the root of the sum of their squares.
  x = multiply(x, rsqrt(reduceSum(square(x))));
  const steps = orthogonalSteps(Math.min(rows, size / rows));
  for (let i = 0; i < steps; i++) {
    const gram = matmul(x, transpose(x));
    x = add(multiply(x, 1.5), multiply(matmul(gram, x), -0.5));
  }
  return reshape(multiply(isTall ? transpose(x) : x, gain), shape);
}

/**
 * How often X becomes 1.5 X - 0.5 X X' X until n normal rows, divided by the root of the sum of all squares, are orthogonal. The smallest
 * singular value of a square one is below e / sqrt(n) with a probability of e (Edelman 1988), and the root is n: all but one matrix in a
 * million have none below 1e-6 / n^1.5. That grows by half each time until it is near 1, and six more times square what is missing.
 */
export function orthogonalSteps(n: number): number {
  return Math.ceil(Math.log(1e6 * n ** 1.5) / Math.log(1.5)) + 6;
}
