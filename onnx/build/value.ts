/** What stands for a value of a model's graph while a program is built of it. */
import { type DType, EvenkeelError, evaluateNow, type Shape, type Tensor, tensor } from "../../engine/index.ts";
import { quoteText } from "../../engine/io/index.ts";
import { type ElementType, isFloatType, isSignedType } from "../format/elementTypes.ts";
import type { OnnxData, OnnxNumbers, OnnxTensor } from "../format/model.ts";

/** The dtype that stands for a type of elements, undefined for texts. */
export function dtypeFor(type: ElementType): DType | undefined {
  if (type === "string") return undefined;
  if (type === "bool") return "bool";
  return isFloatType(type) ? "f32" : isSignedType(type) ? "i32" : "u32";
}

/** The largest finite f32, and numbers that are rounded to it. */
const largestFloat = 3.4028235677973366e38;

/** A tensor of the model, or a list of such (what ONNX calls a sequence). */
export type Value = TensorValue | ListValue;

/** A sequence of tensors: as many as the graph's form says. */
export class ListValue {
  readonly items: readonly TensorValue[];

  constructor(items: readonly TensorValue[]) {
    this.items = items;
  }
}

/** A tensor of the model. Its elements are known as numbers if they depend on constants alone: then shapes may depend on them. */
export class TensorValue {
  /** What the model calls it. */
  readonly name: string;
  readonly type: ElementType;
  readonly shape: Shape;
  /** Whether `numbers` gives its elements. */
  readonly isKnown: boolean;
  #tensor: Tensor | undefined;
  #data: OnnxData | undefined;

  private constructor(name: string, type: ElementType, shape: Shape, isKnown: boolean) {
    this.name = name;
    this.type = type;
    this.shape = shape;
    this.isKnown = isKnown;
  }

  /** Elements that are there as numbers or texts. */
  static known(name: string, type: ElementType, shape: Shape, data: OnnxData): TensorValue {
    const value = new TensorValue(name, type, shape, true);
    value.#data = data;
    return value;
  }

  /** @param isKnown whether the tensor depends on constants alone */
  static computed(name: string, type: ElementType, made: Tensor, isKnown: boolean): TensorValue {
    const value = new TensorValue(name, type, made.shape, isKnown);
    value.#tensor = made;
    return value;
  }

  static ofFile({ name, type, shape, data }: OnnxTensor): TensorValue {
    return TensorValue.known(name, type, shape, data);
  }

  /** The same elements under another name. */
  renamed(name: string): TensorValue {
    const value = new TensorValue(name, this.type, this.shape, this.isKnown);
    value.#tensor = this.#tensor;
    value.#data = this.#data;
    return value;
  }

  /**
   * The elements as the engine computes with them.
   * @throws EvenkeelError `dtype` for texts, `value` for numbers that don't fit the dtype.
   */
  get tensor(): Tensor {
    this.#tensor ??= this.#makeTensor();
    return this.#tensor;
  }

  #makeTensor(): Tensor {
    const data = this.#data ?? [];
    const dtype = dtypeFor(this.type);
    if (dtype === undefined || isTexts(data)) {
      throw new EvenkeelError(
        "dtype",
        `${this.name}: texts can't be computed with. Leave that part out of the export.`,
      );
    }
    return tensor(fitting(data, dtype, this.type, this.name), { shape: this.shape, dtype });
  }

  /** The elements as numbers, row-major. @throws EvenkeelError `value` for texts, `trace` for what isn't known. */
  get numbers(): readonly number[] {
    const { data } = this;
    if (isTexts(data)) throw new EvenkeelError("value", `${this.name}: texts where numbers are needed.`);
    return Array.from(data);
  }

  /** The elements as they are, for who only moves them. */
  get data(): OnnxData {
    this.#data ??= this.#evaluate();
    return this.#data;
  }

  #evaluate(): OnnxData {
    try {
      return evaluateNow(this.tensor);
    } catch (cause) {
      if (!(cause instanceof EvenkeelError) || cause.code !== "trace") throw cause;
      throw new EvenkeelError(
        "trace",
        `${quoteText(this.name)} decides about shapes and must be known when the program is built: give it, or the inputs of the model that ` +
          "it is made of, as plain numbers instead of tensors.",
        { cause },
      );
    }
  }
}

const isTexts = (data: OnnxData): data is readonly string[] => Array.isArray(data);

/** Numbers that a dtype holds, without loss of more than f32's rounding. @throws EvenkeelError `value`. */
function fitting(data: OnnxNumbers, dtype: DType, type: ElementType, name: string): OnnxNumbers {
  if (type === "f64") {
    const wrong = data.find((value) => Number.isFinite(value) && Math.abs(value) >= largestFloat);
    if (wrong !== undefined) {
      throw new EvenkeelError(
        "value",
        `${name}: ${wrong} is beyond the 32-bit floats that stand for 64-bit ones here.`,
      );
    }
    return Float32Array.from(data);
  }
  if (type !== "i64" && type !== "u64") return data;
  const [low, high] = dtype === "i32" ? [-(2 ** 31), 2 ** 31 - 1] : [0, 2 ** 32 - 1];
  const wrong = data.find((value) => value < low || value > high);
  if (wrong !== undefined) {
    throw new EvenkeelError(
      "value",
      `${name}: ${wrong} is beyond the 32-bit integers that stand for 64-bit ones here (${low} to ${high}).`,
    );
  }
  return data;
}
