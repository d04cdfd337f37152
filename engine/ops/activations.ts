/** Activations of networks. `relu`, `silu`, `sigmoid` and `tanh` are in `elementwise.ts`. */
import { EvenkeelError } from "../errors.ts";
import type { Tensor, TensorLike } from "../graph/tensor.ts";
import {
  add,
  divide,
  erf,
  exp,
  expm1,
  less,
  log1p,
  multiply,
  negate,
  requireDtype,
  sigmoid,
  square,
  where,
} from "./elementwise.ts";

/** How `gelu` is computed: by the error function, or by the authors' approximation with tanh. */
export type GeluOptions = { readonly approximate?: "none" | "tanh" };

/**
 * x times the normal distribution's share below x (Hendrycks and Gimpel 2016): x (1 + erf(x / sqrt 2)) / 2; with `approximate: "tanh"`
 * x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2, as in GPT-2. f32. NaN at -infinity, as in PyTorch.
 * @example
 * ```ts
 * console.log(await gelu(tensor([-1, 0, 2])).array()); // [ -0.15866, 0, 1.9545 ]
 * console.log(await gelu(tensor([-1, 0, 2]), { approximate: "tanh" }).array()); // [ -0.15881, 0, 1.9546 ]
 * ```
 */
export function gelu(x: Tensor, options: GeluOptions = {}): Tensor {
  requireDtype("gelu", x.dtype, ["f32"]);
  const { approximate = "none" } = options;
  switch (approximate) {
    case "none":
      return multiply(x, multiply(add(erf(multiply(x, Math.SQRT1_2)), 1), 0.5));
    case "tanh": {
      // (1 + tanh u) / 2 is sigmoid(2u).
      const scale = 2 * Math.sqrt(2 / Math.PI);
      return multiply(x, sigmoid(multiply(x, add(multiply(square(x), 0.044715 * scale), scale))));
    }
    default:
      throw new EvenkeelError("value", `gelu: approximate is ${String(approximate)}, expected "none" or "tanh".`);
  }
}

/**
 * ln(1 + e^(beta x)) / beta: a smooth relu, accurate for any x. Its derivative is sigmoid(beta x). f32.
 * @example console.log(await softplus(tensor([-10, 0, 100])).array()); // [ 0.000045399, 0.69315, 100 ]
 */
export function softplus(x: Tensor, beta = 1): Tensor {
  requireDtype("softplus", x.dtype, ["f32"]);
  if (!(beta > 0)) throw new EvenkeelError("range", `softplus: beta is ${beta}, expected a number above 0.`);
  const scaled = multiply(x, beta);
  const isPositive = less(0, scaled);
  const small = log1p(exp(where(isPositive, negate(scaled), scaled)));
  return divide(where(isPositive, add(scaled, small), small), beta);
}

/**
 * x where it is above 0, else slope * x; a tensor `slope` broadcasts (PReLU). The derivative at 0 is the slope's, as in PyTorch. f32.
 * @example console.log(await leakyRelu(tensor([-2, 3]), 0.1).array()); // [ -0.2, 3 ]
 */
export function leakyRelu(x: Tensor, slope: TensorLike = 0.01): Tensor {
  requireDtype("leakyRelu", x.dtype, ["f32"]);
  return where(less(0, x), x, multiply(x, slope));
}

/**
 * x where it is above 0, else alpha (e^x - 1) (Clevert et al. 2015). The derivative at 0 is alpha, as in PyTorch. f32.
 * @example console.log(await elu(tensor([-1, 0, 2])).array()); // [ -0.63212, 0, 2 ]
 */
export function elu(x: Tensor, alpha = 1): Tensor {
  requireDtype("elu", x.dtype, ["f32"]);
  const isPositive = less(0, x);
  // What isn't chosen must not overflow: its derivative would be 0 times infinity.
  return where(isPositive, x, multiply(expm1(where(isPositive, 0, x)), alpha));
}
