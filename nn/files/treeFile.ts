import {
  type LazyTensor,
  parseSafetensors,
  quoteText,
  SafetensorsFile,
  type SafetensorsOptions,
  serializeSafetensors,
  type StoredTensor,
  toFloat32,
  toInt32,
  toUint32,
  type WritableTensor,
} from "../../engine/io/index.ts";
import { type DType, EvenkeelError, fillTree, type Tensor, tensor, type TensorData } from "../../engine/index.ts";
import { nestParameters, type ParameterTree } from "../nesting.ts";
import { requireNames } from "../requireNames.ts";
import { namedLeaves } from "./namedLeaves.ts";

/** How a tree is written. */
export type SaveTreeOptions = SafetensorsOptions & {
  /** What f32 tensors are in the file: as they are, or rounded to nearest even to 16 bits. Default "F32". */
  readonly floats?: "F32" | "F16" | "BF16";
};

/** How a tree is read. */
export type LoadTreeOptions = {
  /** Whether the file may have tensors that the tree hasn't. Default: false. */
  readonly allowsMore?: boolean;
};

const fileDTypeOf = (dtype: DType, floats: "F32" | "F16" | "BF16"): "F32" | "F16" | "BF16" | "I32" | "U32" | "BOOL" => {
  switch (dtype) {
    case "f32":
      return floats;
    case "i32":
      return "I32";
    case "u32":
      return "U32";
    case "bool":
      return "BOOL";
  }
};

/** The tensors of a tree as a file takes them, by name, each of which is computed when it is its turn. */
export function storableLeaves(
  operation: string,
  tree: unknown,
  { floats = "F32" }: SaveTreeOptions,
): Map<string, LazyTensor> {
  return new Map(
    namedLeaves(operation, tree).map(({ name, tensor: leaf }) => {
      // A tensor's data are of the array that its dtype has.
      const lazy = { dtype: fileDTypeOf(leaf.dtype, floats), shape: leaf.shape, data: () => leaf.data() };
      return [name, lazy as LazyTensor];
    }),
  );
}

/**
 * Any tree of tensors as a safetensors file in memory: arrays under the keys on the way to them, joined by dots (`layers.0.weight`), as
 * PyTorch calls them. Numbers, texts and other static values of the tree aren't written: `parseTree` takes them from a tree like it.
 * @throws EvenkeelError `value` if two tensors would be called the same, and whatever computing them throws
 * @example
 * ```ts
 * import { tensor, zeros } from "evenkeel/engine";
 *
 * const bytes = await serializeTree({ layers: [{ weight: tensor([1, 2]) }] });
 * const { layers } = parseTree(bytes, { layers: [{ weight: zeros([2]) }] });
 * console.log(await layers[0]?.weight.array()); // [ 1, 2 ]
 * ```
 */
export async function serializeTree(tree: unknown, options: SaveTreeOptions = {}): Promise<Uint8Array<ArrayBuffer>> {
  const named: [string, WritableTensor][] = [];
  for (const [name, { dtype, shape, data }] of storableLeaves("serializeTree", tree, options)) {
    named.push([name, { dtype, shape, data: await data() } as WritableTensor]);
  }
  return serializeSafetensors(named, options);
}

/**
 * The tree of a safetensors file: branches by the dots of the names, those whose keys are 0, 1, 2, ... as lists. Floats of 16, 32 or 64
 * bits become f32, integers i32 (U32 and U64: u32), BOOL bool.
 * @throws EvenkeelError `file` if it is none, `value` for integers that don't fit, or if an array has the name of a branch
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * const bytes = await serializeTree({ layers: [{ weight: tensor([1, 2]) }] });
 * console.log(Object.keys(flattenParameters(parseTree(bytes)))); // [ 'layers.0.weight' ]
 * ```
 */
export function parseTree(file: Uint8Array | SafetensorsFile): ParameterTree;
/**
 * The arrays of a safetensors file in the places of a tree's tensors, by name. Static values are the tree's. F16, BF16 and F64 files
 * are read into f32 tensors, integers of any width into i32 and u32 ones, if they fit.
 * @param like a tree of the wanted shape: the `template` of a state, or what `initializeParameters` gives. Nothing of it is computed.
 * @throws EvenkeelError `file` if it is none, `shape` for what is missing, too much or of another shape, `dtype` for one of another kind, by
 * name, `value` for integers that don't fit
 */
export function parseTree<Tree>(file: Uint8Array | SafetensorsFile, like: Tree, options?: LoadTreeOptions): Tree;
export function parseTree(
  given: Uint8Array | SafetensorsFile,
  like?: unknown,
  { allowsMore = false }: LoadTreeOptions = {},
): unknown {
  const file = given instanceof SafetensorsFile ? given : parseSafetensors(given);
  if (like === undefined) {
    const named = Array.from(file.tensors(), (stored): [string, Tensor] => {
      requireShallow(stored.name, file.source);
      return [stored.name, tensorOf(stored, naturalDtype(stored), file.source)];
    });
    return nestParameters(Object.fromEntries(named));
  }
  const leaves = namedLeaves("parseTree", like);
  requireNames({
    source: file.source,
    wanted: new Set(leaves.map(({ name }) => name)),
    given: file.entries.keys(),
    allowsMore,
    about: "which the tree hasn't (allowsMore lets it)",
  });
  const read = leaves.map(({ name, tensor: { shape, dtype } }) => {
    const stored = file.tensor(name);
    if (stored.shape.join() !== shape.join()) {
      throw new EvenkeelError(
        "shape",
        `${file.source}: ${quoteText(name)} is [${stored.shape.join(", ")}], expected [${shape.join(", ")}].`,
      );
    }
    return tensorOf(stored, dtype, file.source);
  });
  return fillTree(like, read);
}

/** Deeper than any network: what goes through a tree calls itself for each branch. */
const deepest = 500;

function requireShallow(name: string, source: string): void {
  if (name.split(".", deepest + 1).length <= deepest) return;
  throw new EvenkeelError(
    "file",
    `${source}: ${quoteText(name)} would be within ${deepest} branches or more. Read it with parseSafetensors.`,
  );
}

/** The dtype that goes without saying. */
function naturalDtype({ dtype }: StoredTensor): DType {
  switch (dtype) {
    case "F16":
    case "BF16":
    case "F32":
    case "F64":
      return "f32";
    case "BOOL":
      return "bool";
    case "U32":
    case "U64":
      return "u32";
    case "I8":
    case "U8":
    case "I16":
    case "U16":
    case "I32":
    case "I64":
      return "i32";
  }
}

const isFloat = ({ dtype }: StoredTensor): boolean => naturalDtype({ dtype } as StoredTensor) === "f32";

function tensorOf(stored: StoredTensor, dtype: DType, source: string): Tensor {
  const { name, shape } = stored;
  const isRight =
    dtype === "bool" ? stored.dtype === "BOOL" : stored.dtype !== "BOOL" && isFloat(stored) === (dtype === "f32");
  if (!isRight) {
    throw new EvenkeelError("dtype", `${source}: ${quoteText(name)} is ${stored.dtype}, expected what makes ${dtype}.`);
  }
  return tensor(dataOf(stored, dtype), { shape, dtype });
}

function dataOf(stored: StoredTensor, dtype: DType): TensorData {
  switch (dtype) {
    case "f32":
      return toFloat32(stored);
    case "i32":
      return toInt32(stored);
    case "u32":
      return toUint32(stored);
    case "bool":
      return stored.data as Uint8Array;
  }
}
