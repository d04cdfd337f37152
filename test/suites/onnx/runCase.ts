import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  compile,
  type Device,
  EvenkeelError,
  isTensor,
  messageOf,
  type NestedArray,
  type Tensor,
} from "../../../engine/index.ts";
import { fromBfloat16Bits } from "../../../engine/io/index.ts";
import { TensorValue } from "../../../onnx/build/value.ts";
import { isFloatType } from "../../../onnx/format/elementTypes.ts";
import type { OnnxTensor } from "../../../onnx/format/model.ts";
import { readTensor } from "../../../onnx/format/readTensor.ts";
import { fieldsOf, type Message, messageWithin } from "../../../onnx/format/wire.ts";
import { type ImportedModel, importOnnx, type ModelInput } from "../../../onnx/index.ts";
import { difference } from "./compare.ts";
import type { TestCase } from "./testData.ts";

/** What became of a test on one device. Refused: the importer said that it can't be imported. */
export type Outcome = { readonly kind: "passed" } | { readonly kind: "refused" | "wrong"; readonly reason: string };

/** A test, and what is the same on every device. */
export type PreparedCase = {
  readonly test: TestCase;
  /** What was put together in a costly way, after a run. */
  readonly roundabouts: ReadonlySet<string>;
  /** Whether an input was given as numbers, as shapes depend on it. */
  readonly hasKnownInputs: boolean;
  readonly run: (device: Device) => Promise<Outcome>;
};

type Stored = OnnxTensor | readonly OnnxTensor[];

/** Reads a test's model and data once. */
export function prepareCase(test: TestCase): PreparedCase {
  const { folder } = test;
  const path = join(folder, "model.onnx");
  const bytes = new Uint8Array(readFileSync(path));
  let model: ImportedModel;
  const roundabouts = new Set<string>();
  try {
    model = importOnnx(bytes, { path: "model", onRoundabout: (what) => roundabouts.add(what) });
  } catch (cause) {
    const outcome = outcomeOf(cause);
    return { test, roundabouts, hasKnownInputs: false, run: () => Promise.resolve(outcome) };
  }
  const sets = readdirSync(folder)
    .filter((name) => name.startsWith("test_data_set_"))
    .sort()
    .map((name) => join(folder, name));
  return {
    test,
    roundabouts,
    hasKnownInputs: model.inputs.some(({ decidesShapes }) => decidesShapes),
    run: async (device) => {
      try {
        for (const set of sets) {
          const wrong = await runSet(model, set, device);
          if (wrong !== undefined) return { kind: "wrong", reason: wrong };
        }
        return { kind: "passed" };
      } catch (cause) {
        return outcomeOf(cause);
      }
    },
  };
}

/** What the importer refuses is told by its own errors; all others are mistakes of ours. */
function outcomeOf(cause: unknown): Outcome {
  const kind =
    cause instanceof EvenkeelError && cause.code !== "graph" && cause.code !== "kernel" ? "refused" : "wrong";
  const reason = kind === "wrong" && cause instanceof Error ? (cause.stack ?? cause.message) : messageOf(cause);
  return { kind, reason };
}

async function runSet(model: ImportedModel, folder: string, device: Device): Promise<string | undefined> {
  const inputs: Record<string, ModelInput> = {};
  model.inputs.forEach((description, i) => {
    const stored = readStored(folder, `input_${i}.pb`, description.type, description.isSequence);
    inputs[description.name] = inputOf(stored, description.decidesShapes);
  });
  const program = compile(model.apply, { device });
  try {
    const results = await program(model.parameters, inputs);
    for (const [i, { name, type, isSequence }] of model.outputs.entries()) {
      const wanted = readStored(folder, `output_${i}.pb`, type, isSequence);
      const got = results[name];
      const pairs: readonly (readonly [Tensor | undefined, OnnxTensor | undefined])[] = Array.isArray(wanted)
        ? (wanted as readonly OnnxTensor[]).map((each, k) => [
            Array.isArray(got) ? (got as Tensor[])[k] : undefined,
            each,
          ])
        : [[isTensor(got) ? got : undefined, wanted as OnnxTensor]];
      for (const [tensor, expected] of pairs) {
        if (tensor === undefined || expected === undefined) return `output ${i} (${name}) is missing`;
        const wrong = difference(await tensor.data(), tensor.shape, isFloatType(expected.type), expected);
        if (wrong !== undefined) return `output ${i} (${name}): ${wrong}`;
      }
      if (Array.isArray(got) && Array.isArray(wanted) && got.length !== wanted.length) {
        return `output ${i} (${name}): ${got.length} tensors, expected ${wanted.length}`;
      }
    }
    return undefined;
  } finally {
    program.dispose();
  }
}

function inputOf(stored: Stored, asNumbers: boolean): ModelInput {
  if (Array.isArray(stored)) return (stored as readonly OnnxTensor[]).map((item) => TensorValue.ofFile(item).tensor);
  const single = stored as OnnxTensor;
  return asNumbers ? nested(single) : TensorValue.ofFile({ ...single, name: "input" }).tensor;
}

function nested({ shape, data }: OnnxTensor): NestedArray {
  const nest = (axis: number, offset: number): NestedArray => {
    const extent = shape[axis];
    if (extent === undefined) return Number(data[offset]);
    const stride = shape.slice(axis + 1).reduce((size, each) => size * each, 1);
    return Array.from({ length: extent }, (_, i) => nest(axis + 1, offset + i * stride));
  };
  return nest(0, 0);
}

/** A file of the test data: a tensor, or a `SequenceProto`. The suite keeps bfloat16 as whole numbers: then the model's type counts. */
function readStored(folder: string, name: string, type: string, isSequence: boolean): Stored {
  const path = join(folder, name);
  if (!existsSync(path)) throw new Error(`${path} is missing`);
  const message: Message = { bytes: new Uint8Array(readFileSync(path)), place: name, depth: 0 };
  if (isSequence) {
    return [...fieldsOf(message)]
      .filter(({ number }) => number === 3)
      .map((field) => readTensor(messageWithin(message, field, "tensor"), new Map()));
  }
  const tensor = readTensor(message, new Map());
  if (tensor.type !== "u16" || type !== "bf16") return tensor;
  return { ...tensor, type: "bf16", data: Float32Array.from(tensor.data as Uint16Array, fromBfloat16Bits) };
}
