import * as z from "zod";
import { EvenkeelError } from "../../engine/index.ts";
import type { NetworkArray, NetworkArrays } from "./network.ts";

/** What a TensorFlow.js `model.json` says about its weights. */
export const weightsManifestSchema = z
  .array(
    z.object({
      paths: z.array(z.string()).min(1),
      weights: z.array(
        z.object({
          name: z.string(),
          shape: z.array(z.int().min(0)),
          dtype: z.string(),
          quantization: z.object({ dtype: z.enum(["uint8", "uint16"]), min: z.number(), scale: z.number() }).optional(),
        }),
      ),
    }),
  )
  .min(1);

type Manifest = z.infer<typeof weightsManifestSchema>;
type ManifestEntry = Manifest[number]["weights"][number];

/**
 * The arrays of a TensorFlow.js model: float32, or integers of one or two bytes with `value = integer * scale + min` for each array.
 * @param groups the bytes of each group of the manifest, its shards joined.
 * @throws EvenkeelError `file` for another type or bytes that are too few or too many.
 * @example
 * ```ts
 * const quantization = { dtype: "uint8", min: -1, scale: 0.5 } as const;
 * const manifest = [{ paths: ["shard1"], weights: [{ name: "w", shape: [3], dtype: "float32", quantization }] }];
 * console.log(decodeWeights(manifest, [Uint8Array.of(0, 1, 4)], "model.json").get("w")?.data); // Float32Array(3) [ -1, -0.5, 1 ]
 * ```
 */
export function decodeWeights(manifest: Manifest, groups: readonly Uint8Array[], model: string): NetworkArrays {
  const arrays = new Map<string, NetworkArray>();
  for (const [index, { weights }] of manifest.entries()) {
    const bytes = groups[index] ?? new Uint8Array();
    let offset = 0;
    for (const entry of weights) {
      const length = entry.shape.reduce((product, size) => product * size, 1);
      const width = bytesPerElement(entry, model);
      const end = offset + length * width;
      if (end > bytes.length) {
        throw new EvenkeelError("file", `${model}: its weights end in ${entry.name}, after ${bytes.length} bytes.`);
      }
      // A copy, because a view needs an aligned beginning.
      arrays.set(entry.name, { shape: entry.shape, data: decode(entry, bytes.slice(offset, end)) });
      offset = end;
    }
    if (offset !== bytes.length) {
      throw new EvenkeelError("file", `${model}: ${bytes.length - offset} bytes of weights belong to no array.`);
    }
  }
  return arrays;
}

function bytesPerElement({ name, dtype, quantization }: ManifestEntry, model: string): number {
  if (dtype !== "float32") throw new EvenkeelError("file", `${model}: ${name} is ${dtype}, expected float32.`);
  return quantization === undefined ? 4 : quantization.dtype === "uint8" ? 1 : 2;
}

function decode({ quantization }: ManifestEntry, bytes: Uint8Array): Float32Array {
  if (quantization === undefined) return new Float32Array(bytes.buffer);
  const integers = quantization.dtype === "uint8" ? bytes : new Uint16Array(bytes.buffer);
  const { scale, min } = quantization;
  // Not Float32Array.from, which is ten times as slow.
  const values = new Float32Array(integers.length);
  for (let i = 0; i < values.length; i++) values[i] = (integers[i] ?? NaN) * scale + min;
  return values;
}
