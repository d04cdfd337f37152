import { EvenkeelError, isTensor, type Tensor } from "../../engine/index.ts";

/**
 * The tensor of that name among parameters, gradients or moments.
 * @throws EvenkeelError `value` if there is none, or if it is a branch of a nested tree
 */
export function namedTensor(
  operation: string,
  what: string,
  named: Readonly<Record<string, unknown>>,
  name: string,
): Tensor {
  const value = Object.hasOwn(named, name) ? named[name] : undefined;
  if (isTensor(value)) return value;
  const found = value === undefined ? `have no ${name}` : `have no tensor at ${name}`;
  throw new EvenkeelError(
    "value",
    `${operation}: the ${what} ${found}. Parameters and all that belongs to them are tensors by the same names; ` +
      "flattenParameters makes that of a nested tree.",
  );
}

/** All of them, in their order. @throws EvenkeelError as {@link namedTensor} */
export function namedTensors(operation: string, what: string, named: Readonly<Record<string, unknown>>): Tensor[] {
  return Object.keys(named).map((name) => namedTensor(operation, what, named, name));
}
