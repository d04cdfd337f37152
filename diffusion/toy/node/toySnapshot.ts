import * as z from "zod";
import { EvenkeelError, tensor } from "../../../engine/index.ts";
import { type StoredTensor, toFloat32 } from "../../../engine/io/index.ts";
import { openSafetensors, writeSafetensors } from "../../../engine/io/node.ts";
import { checkParameters, type NamedParameters } from "../../../nn/index.ts";
import { describeScoreModel } from "../scoreModel.ts";
import type { ToyTrainingOptions } from "../trainer.ts";

/** A stored model of the toy data: averaged weights and how they came about. */
export type ToySnapshot = {
  readonly training: ToyTrainingOptions;
  /** Steps trained. */
  readonly iteration: number;
  readonly weights: NamedParameters;
};

const finite = z.number();
const whole = z.number().int();

const header = z.strictObject({
  version: z.literal(1),
  kind: z.literal("toy"),
  iteration: whole,
  training: z.strictObject({
    cls: z.enum(["A", "B", "AB"]),
    model: z.strictObject({ dim: whole, layers: whole, sigmaData: finite }),
    batch: whole,
    learningRate: finite,
    referenceBatches: finite,
    noise: z.discriminatedUnion("kind", [
      z.strictObject({ kind: z.literal("logNormal"), pMean: finite, pStd: finite }),
      z.strictObject({
        kind: z.literal("twoRanges"),
        sigmaMin: finite,
        border: finite,
        sigmaMax: finite,
        lowShare: finite,
      }),
    ]),
    strayShare: finite,
    weighting: z.enum(["score", "relative"]),
    emaSigmaRel: finite,
    seed: whole,
  }),
});

/**
 * Writes a model to a safetensors file, in float32, whole or not at all. @throws EvenkeelError `file`
 * @example
 * ```ts
 * import { randomKey } from "evenkeel/engine";
 * import { initializeParameters } from "evenkeel/nn";
 * import { describeScoreModel, toyRecipes } from "evenkeel/diffusion/toy";
 *
 * const training = { ...toyRecipes.published.training, cls: "A", seed: 0 } as const;
 * const weights = initializeParameters(describeScoreModel(training.model), randomKey(0));
 * await writeToySnapshot("toy.safetensors", { training, iteration: 0, weights });
 * console.log((await readToySnapshot("toy.safetensors")).training.cls); // A
 * ```
 */
export async function writeToySnapshot(path: string, snapshot: ToySnapshot): Promise<void> {
  const { training, iteration, weights } = snapshot;
  const stored = await Promise.all(
    Object.entries(weights).map(async ([name, value]) => {
      const data = await value.data("f32");
      return [name, { dtype: "F32", shape: value.shape, data }] as const;
    }),
  );
  const text = JSON.stringify({ version: 1, kind: "toy", iteration, training } satisfies z.input<typeof header>);
  await writeSafetensors(path, Object.fromEntries(stored), { metadata: { format: "pt", evenkeel: text } });
}

/**
 * Reads what `writeToySnapshot` wrote. @throws EvenkeelError `file` for anything else, `shape` for weights that don't fit.
 * @example
 * ```ts
 * import { randomKey } from "evenkeel/engine";
 * import { initializeParameters } from "evenkeel/nn";
 * import { describeScoreModel, toyRecipes } from "evenkeel/diffusion/toy";
 *
 * const training = { ...toyRecipes.published.training, cls: "A", seed: 0 } as const;
 * const untrained = initializeParameters(describeScoreModel(training.model), randomKey(0));
 * await writeToySnapshot("toy.safetensors", { training, iteration: 0, weights: untrained });
 * const { iteration, weights } = await readToySnapshot("toy.safetensors");
 * console.log(iteration, await weights["gain"]?.array()); // 0 0
 * ```
 */
export async function readToySnapshot(path: string): Promise<ToySnapshot> {
  await using file = await openSafetensors(path);
  const { iteration, training } = parseHeader(path, file.metadata.get("evenkeel"));
  const stored = new Map<string, StoredTensor>();
  for (const name of file.entries.keys()) stored.set(name, await file.tensor(name));
  checkParameters(describeScoreModel(training.model), stored, path);
  const weights = Object.fromEntries(
    [...stored].map(([name, value]) => [name, tensor(toFloat32(value), { shape: value.shape })]),
  );
  return { training, iteration, weights };
}

function parseHeader(path: string, text: string | undefined): z.output<typeof header> {
  const expected = "Expected a model that `npx evenkeel toy train` wrote.";
  if (text === undefined) throw new EvenkeelError("file", `${path} has no header of evenkeel's. ${expected}`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new EvenkeelError("file", `${path}: its header of evenkeel's is not JSON.`, { cause });
  }
  const parsed = header.safeParse(value);
  if (parsed.success) return parsed.data;
  const kind = typeof value === "object" && value !== null && "kind" in value ? String(value.kind) : "something else";
  if (kind !== "toy") throw new EvenkeelError("file", `${path} is a ${kind}. ${expected}`);
  const [problem] = parsed.error.issues;
  throw new EvenkeelError("file", `${path}: in its header ${problem?.path.join(".")} is wrong: ${problem?.message}.`);
}
