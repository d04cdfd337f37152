import * as z from "zod";

const extent = z.int().min(1).max(4096);
const pair = z.tuple([extent, extent]);
const padding = z.union([
  z.literal("same"),
  z.tuple([z.tuple([z.int().min(0), z.int().min(0)]), z.tuple([z.int().min(0), z.int().min(0)])]),
]);
const step = <K extends string, S extends z.core.$ZodShape>(kind: K, shape: S) =>
  z.object({ kind: z.literal(kind), name: z.string().min(1), ...shape });
const one = { input: z.string() };
const many = { inputs: z.array(z.string()).min(1) };

/** The schema of {@link FeatureNetwork}, for networks that come from files. */
export const featureNetworkSchema = z.object({
  size: extent,
  input: z.string().min(1),
  steps: z
    .array(
      z.discriminatedUnion("kind", [
        step("scale", { ...one, factor: z.number(), shift: z.number() }),
        step("conv", { ...one, stride: pair, padding, groups: extent }),
        step("relu", { ...one, maximum: z.number().positive().nullable() }),
        step("add", many),
        step("concat", many),
        step("maxPool", { ...one, window: pair, stride: pair, padding }),
        step("averagePool", { ...one, window: pair, stride: pair, padding }),
      ]),
    )
    .min(1),
  output: z.string().min(1),
  dimension: extent,
});

/**
 * A convolutional network up to its features, as plain data: steps in the order of their computation, each on the results of earlier
 * ones, by name. Images are [N, 3, size, size] in 0..1; the result of `output` is [N, dimension, 1, 1]. Of a step `conv` named `n`
 * the weights are `n.weight` [O, I / groups, kh, kw] and `n.bias` [O]. Padding is [[top, bottom], [left, right]], or "same" as TensorFlow
 * means it: half of what is missing before, the larger half after.
 */
export type FeatureNetwork = z.infer<typeof featureNetworkSchema>;

/** One step of a network. */
export type NetworkStep = FeatureNetwork["steps"][number];

/** Zeros around an image. */
export type StepPadding = z.infer<typeof padding>;

/** An array of a network on the host. */
export type NetworkArray = { readonly shape: readonly number[]; readonly data: Float32Array };

/** Arrays by name. */
export type NetworkArrays = ReadonlyMap<string, NetworkArray>;

/** A network with its weights. */
export type LoadedNetwork = { readonly network: FeatureNetwork; readonly weights: NetworkArrays };

/** The names of the arrays of a convolution. */
export const convolutionArrays = (name: string): { readonly weight: string; readonly bias: string } => ({
  weight: `${name}.weight`,
  bias: `${name}.bias`,
});
