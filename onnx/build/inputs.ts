/** What a model is given: checked against what it says of its inputs. */
import {
  EvenkeelError,
  isTensor,
  type NestedArray,
  type Shape,
  type Tensor,
  tensor as tensorOf,
} from "../../engine/index.ts";
import { quoteText } from "../../engine/io/index.ts";
import type { ElementType } from "../format/elementTypes.ts";
import type { OnnxValueInfo } from "../format/model.ts";
import { dtypeFor, ListValue, TensorValue, type Value } from "./value.ts";

/** A tensor, or numbers in nested arrays, which may decide about shapes; a list of tensors for a sequence. */
export type ModelInput = Tensor | NestedArray | readonly Tensor[];

/** An input of a model. */
export type InputDescription = {
  readonly name: string;
  /** The type of its elements in the file. 64-bit integers are given as i32 or u32, all floats as f32. */
  readonly type: ElementType;
  /** Sizes; a name stands for the same size everywhere, null for any; null in all for any rank. */
  readonly shape: readonly (number | string | null)[] | null;
  /** Whether it decides about shapes, so that it is given as plain numbers. */
  readonly decidesShapes: boolean;
  /** Whether it is a list of such tensors. */
  readonly isSequence: boolean;
};

/** The values of a model's inputs. @throws EvenkeelError `value`, `dtype` or `shape` for one that is missing or doesn't fit. */
export function inputValues(
  descriptions: readonly InputDescription[],
  given: Readonly<Record<string, ModelInput>>,
): Map<string, Value> {
  for (const name of Object.keys(given)) {
    if (!descriptions.some((description) => description.name === name)) {
      const names = descriptions.map((description) => quoteText(description.name)).join(", ");
      throw new EvenkeelError(
        "value",
        `${quoteText(name)} is no input of the model; it has ${names === "" ? "none" : names}.`,
      );
    }
  }
  const sizes = new Map<string, { readonly size: number; readonly input: string }>();
  return new Map(
    descriptions.map((description) => {
      const { name } = description;
      const value = Object.hasOwn(given, name) ? given[name] : undefined;
      if (value === undefined) throw new EvenkeelError("value", `input ${quoteText(name)} is missing.`);
      return [name, valueOf(description, value, sizes)];
    }),
  );
}

type Sizes = Map<string, { readonly size: number; readonly input: string }>;

function valueOf(description: InputDescription, given: ModelInput, sizes: Sizes): Value {
  const { name } = description;
  if (description.isSequence) {
    if (!Array.isArray(given) || !given.every(isTensor)) {
      throw new EvenkeelError("value", `input ${quoteText(name)} is a sequence: give an array of tensors.`);
    }
    return new ListValue(given.map((item) => tensorValue(description, item)));
  }
  const value = isTensor(given) ? tensorValue(description, given) : numbersValue(description, given);
  checkShape(description, value.shape, sizes);
  return value;
}

function tensorValue({ name, type, decidesShapes }: InputDescription, given: Tensor): TensorValue {
  const dtype = dtypeFor(type);
  if (given.dtype !== dtype) {
    throw new EvenkeelError(
      "dtype",
      `input ${quoteText(name)} is ${given.dtype}, expected ${dtype ?? "texts"} for elements of type ${type}.`,
    );
  }
  // Whether it really is known shows when its numbers are asked for.
  return TensorValue.computed(name, type, given, decidesShapes);
}

/** Numbers as they are: 64 bits wide, too. */
function numbersValue({ name, type }: InputDescription, given: ModelInput): TensorValue {
  if (isTensor(given) || isTensorList(given)) {
    throw new EvenkeelError(
      "value",
      `input ${quoteText(name)} is a tensor, not a sequence: give one tensor or numbers.`,
    );
  }
  const numbers: number[] = [];
  // Shape and raggedness are checked as those of any nested array.
  const { shape } = tensorOf(given, { dtype: "f32" });
  flatten(given, numbers);
  return TensorValue.known(name, type, shape, type === "f32" ? Float32Array.from(numbers) : Float64Array.from(numbers));
}

const isTensorList = (given: ModelInput): given is readonly Tensor[] => Array.isArray(given) && given.some(isTensor);

function flatten(value: NestedArray, into: number[]): void {
  if (typeof value === "number" || typeof value === "boolean") into.push(Number(value));
  else for (const item of value) flatten(item, into);
}

function checkShape({ name, shape: wanted }: InputDescription, shape: Shape, sizes: Sizes): void {
  if (wanted === null) return;
  const mismatch = (why: string): EvenkeelError => {
    const written = wanted.map((extent) => extent ?? "?").join(", ");
    return new EvenkeelError(
      "shape",
      `input ${quoteText(name)} is [${shape.join(", ")}], the model has [${written}]${why}.`,
    );
  };
  if (wanted.length !== shape.length) throw mismatch("");
  wanted.forEach((extent, axis) => {
    const size = shape[axis] ?? 0;
    if (typeof extent === "number" && extent !== size) throw mismatch("");
    if (typeof extent !== "string") return;
    const known = sizes.get(extent);
    if (known !== undefined && known.size !== size) {
      throw mismatch(`, and ${quoteText(extent)} is ${known.size} in ${quoteText(known.input)}`);
    }
    sizes.set(extent, { size, input: name });
  });
}

/** What an input of a file is, undefined if it is none that can be given. */
export function describeInput(info: OnnxValueInfo, decidesShapes: boolean): InputDescription {
  const { name, type, shape, isSequence } = info;
  if (type === null || type === "string") {
    const what = type === null ? info.what : "a tensor of texts";
    throw new EvenkeelError("file", `input ${quoteText(name)} is ${what}, which can't be computed with.`);
  }
  return { name, type, shape, decidesShapes, isSequence };
}
