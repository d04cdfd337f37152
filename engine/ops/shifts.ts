/** Shifts of integers by numbers and by tensors. */
import { EvenkeelError } from "../errors.ts";
import { isInteger } from "../graph/dtype.ts";
import { makeNode } from "../graph/graph.ts";
import { isTensor, Tensor } from "../graph/tensor.ts";
import { and, cast, equal, less, requireDtype, where } from "./elementwise.ts";

type Direction = "left" | "right";

/**
 * x * 2^amount of integers modulo 2^32. `amount` is a number 0..31, or an i32 or u32 tensor that broadcasts with x: beyond 31 and below 0
 * it leaves 0, as in NumPy and PyTorch.
 * @throws EvenkeelError `range` for another number, `dtype` for a tensor of another dtype.
 * @example console.log(await shiftLeft(tensor([1, -3], { dtype: "i32" }), 4).array()); // [ 16, -48 ]
 */
export const shiftLeft = (x: Tensor, amount: number | Tensor): Tensor => shift("shiftLeft", "left", x, amount);

/**
 * floor(x / 2^amount) of integers. `amount` is a number 0..31, or an i32 or u32 tensor that broadcasts with x: beyond 31 and below 0 it
 * leaves 0, or -1 of a negative x, as in NumPy and PyTorch.
 * @throws EvenkeelError `range` for another number, `dtype` for a tensor of another dtype.
 * @example console.log(await shiftRight(tensor([17, -1], { dtype: "i32" }), 4).array()); // [ 1, -1 ]
 */
export const shiftRight = (x: Tensor, amount: number | Tensor): Tensor => shift("shiftRight", "right", x, amount);

function shift(operation: string, direction: Direction, x: Tensor, amount: number | Tensor): Tensor {
  requireDtype(operation, x.dtype, ["i32", "u32"]);
  if (isTensor(amount)) return shiftByTensor(operation, direction, x, amount);
  if (!Number.isInteger(amount) || amount < 0 || amount > 31) {
    throw new EvenkeelError("range", `${operation}: amount ${amount} is not a whole number from 0 to 31.`);
  }
  return shiftBy(direction, x, amount);
}

function shiftBy(direction: Direction, x: Tensor, amount: number): Tensor {
  return new Tensor(makeNode("shift", [x.node], { direction, amount }));
}

/** One shift for each of the five bits of an amount below 32. */
function shiftByTensor(operation: string, direction: Direction, x: Tensor, amount: Tensor): Tensor {
  if (!isInteger(amount.dtype)) {
    throw new EvenkeelError(
      "dtype",
      `${operation} (amount): dtype ${amount.dtype} is not supported, expected i32 or u32. Cast the operand first.`,
    );
  }
  // What is negative is large as u32.
  const bits = cast(amount, "u32");
  const shifted = [1, 2, 4, 8, 16].reduce(
    (value, bit) => where(equal(and(bits, bit), 0), value, shiftBy(direction, value, bit)),
    x,
  );
  const beyond = direction === "right" && x.dtype === "i32" ? shiftBy("right", x, 31) : 0;
  return where(less(bits, 32), shifted, beyond);
}
