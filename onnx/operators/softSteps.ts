/** Functions that recurrent networks have as activations, too. */
import { absolute, add, clamp, divide, multiply, type Tensor } from "../../engine/index.ts";

export const softsign = (x: Tensor): Tensor => divide(x, add(1, absolute(x)));

/** The line alpha x + beta within 0 and 1. */
export const hardSigmoid = (x: Tensor, alpha = 0.2, beta = 0.5): Tensor => clamp(add(multiply(x, alpha), beta), 0, 1);
