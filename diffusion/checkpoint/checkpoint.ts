import * as z from "zod";
import { EvenkeelError, tensor, type Tensor } from "../../engine/index.ts";
import {
  type Folder,
  type LazyTensor,
  type StoredFile,
  type TensorReader,
  toFloat32,
  withTensors,
  writeTensors,
} from "../../engine/io/index.ts";
import { type HeaderForm, imagesSeen, parseHeader } from "../fileHeader.ts";

/** What a checkpoint says beside its arrays. */
export type CheckpointInfo = {
  readonly nimg: number;
  /** Everything that must be the same when the run goes on: options, data. Compared as JSON, key by key. */
  readonly fixed: Readonly<Record<string, unknown>>;
  /** What may change: seconds spent so far and the like. */
  readonly progress: Readonly<Record<string, unknown>>;
};

/** A checkpoint that was read. */
export type Checkpoint = CheckpointInfo & { readonly path: string; readonly arrays: ReadonlyMap<string, Tensor> };

const namePattern = /^training-state-(\d{10,})\.safetensors$/;
const version = 1;

/** `training-state-NNNNNNNNNN.safetensors`: images seen, exactly, so that runs of any size have names of their own. */
export function checkpointName(nimg: number): string {
  return `training-state-${String(nimg).padStart(10, "0")}.safetensors`;
}

/**
 * Images that the newest checkpoint of a run folder has seen, by its name; 0 if there is none.
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 * import { memoryFolder } from "evenkeel/engine/io";
 *
 * const folder = memoryFolder();
 * await writeCheckpoint(folder, { nimg: 1000, fixed: {}, progress: {} }, new Map([["w", tensor([1, 2])]]));
 * console.log(await newestCheckpoint(folder)); // 1000
 * ```
 */
export async function newestCheckpoint(folder: Folder): Promise<number> {
  const [newest] = await listCheckpoints(folder);
  return newest === undefined ? 0 : nimgOf(newest);
}

/** Checkpoint files of a run folder, the newest first. */
async function listCheckpoints(folder: Folder): Promise<string[]> {
  const names = (await folder.list()).filter((name) => namePattern.test(name));
  return names.sort((a, b) => nimgOf(b) - nimgOf(a));
}

function nimgOf(name: string): number {
  return Number(namePattern.exec(name)?.[1] ?? 0);
}

/**
 * Writes a checkpoint, whole or not at all, and then removes all but it and the `keep - 1` before it. Gives its place.
 * @throws EvenkeelError `file` if it can't be kept; the checkpoints there were are.
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 * import { memoryFolder } from "evenkeel/engine/io";
 *
 * const folder = memoryFolder();
 * const arrays = new Map([["w", tensor([1, 2])]]);
 * for (const nimg of [1000, 2000, 3000]) await writeCheckpoint(folder, { nimg, fixed: {}, progress: {} }, arrays);
 * console.log((await folder.list()).length, await newestCheckpoint(folder)); // 2 3000
 * ```
 */
export async function writeCheckpoint(
  folder: Folder,
  info: CheckpointInfo,
  arrays: ReadonlyMap<string, Tensor>,
  keep = 2,
): Promise<StoredFile> {
  const file = folder.file(checkpointName(info.nimg));
  const lazy = [...arrays].map(([name, array]): [string, LazyTensor] => [
    name,
    { dtype: "F32", shape: array.shape, data: () => array.data("f32") },
  ]);
  await writeTensors(file, lazy, {
    metadata: { evenkeel: JSON.stringify({ version, kind: "checkpoint", ...info }) },
  });
  // One of more images was passed over as damaged: it mustn't take the place of one that can be read.
  const until = (await listCheckpoints(folder)).filter((name) => nimgOf(name) <= info.nimg);
  for (const old of until.slice(keep)) await folder.file(old).remove();
  return file;
}

const header: HeaderForm<CheckpointInfo> = {
  kinds: ["checkpoint"],
  version,
  schema: z.looseObject({
    nimg: imagesSeen,
    fixed: z.record(z.string(), z.unknown()),
    progress: z.record(z.string(), z.unknown()).default({}),
  }),
};

/** Reads one checkpoint. @throws EvenkeelError `file` if it is damaged, truncated, no checkpoint or another than its name says. */
export async function readCheckpoint(stored: StoredFile): Promise<Checkpoint> {
  return withTensors(stored, async (file) => {
    const info = infoOf(file, stored);
    const arrays = new Map<string, Tensor>();
    for await (const each of file.tensors()) arrays.set(each.name, tensor(toFloat32(each), { shape: each.shape }));
    return { ...info, path: stored.path, arrays };
  });
}

/**
 * What a checkpoint says beside its arrays, which aren't read. @throws EvenkeelError `file` as `readCheckpoint` does.
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 * import { memoryFolder } from "evenkeel/engine/io";
 *
 * const info = { nimg: 1000, fixed: { seed: 1 }, progress: { seconds: 3 } };
 * const file = await writeCheckpoint(memoryFolder(), info, new Map([["w", tensor([1, 2])]]));
 * console.log(await readCheckpointInfo(file)); // { nimg: 1000, fixed: { seed: 1 }, progress: { seconds: 3 } }
 * ```
 */
export async function readCheckpointInfo(stored: StoredFile): Promise<CheckpointInfo> {
  return withTensors(stored, (file) => infoOf(file, stored));
}

function infoOf({ metadata }: TensorReader, { name, path }: StoredFile): CheckpointInfo {
  const { nimg, fixed, progress } = parseHeader(metadata.get("evenkeel"), header, path);
  if (namePattern.test(name) && nimgOf(name) !== nimg) {
    throw new EvenkeelError(
      "file",
      `${path}: its name says ${nimgOf(name)} images, its header ${nimg}. Is it renamed?`,
    );
  }
  return { nimg, fixed, progress };
}

/**
 * Whether a file of this name is a checkpoint of a run folder.
 * @example console.log(isCheckpointName("training-state-0000001000.safetensors"), isCheckpointName("weights.safetensors")); // true false
 */
export function isCheckpointName(name: string): boolean {
  return namePattern.test(name);
}

/**
 * The newest checkpoint of a run folder that can be read; damaged ones are passed over with a warning. Null if there is none at all.
 * @throws EvenkeelError `file` if there are checkpoints and none can be read.
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 * import { memoryFolder } from "evenkeel/engine/io";
 *
 * const folder = memoryFolder();
 * await writeCheckpoint(folder, { nimg: 1000, fixed: {}, progress: {} }, new Map([["w", tensor([1, 2])]]));
 * const newest = await readNewestCheckpoint(folder, console.warn);
 * console.log(newest?.nimg, await newest?.arrays.get("w")?.array()); // 1000 [ 1, 2 ]
 * ```
 */
export async function readNewestCheckpoint(
  folder: Folder,
  warn: (message: string) => void,
): Promise<Checkpoint | null> {
  const names = await listCheckpoints(folder);
  const problems: string[] = [];
  for (const name of names) {
    try {
      return await readCheckpoint(folder.file(name));
    } catch (reason) {
      if (!(reason instanceof EvenkeelError)) throw reason;
      problems.push(reason.message);
      warn(`passing over a damaged checkpoint: ${reason.message}`);
    }
  }
  if (names.length === 0) return null;
  throw new EvenkeelError("file", `no checkpoint of ${folder.path} can be read: ${problems.join("; ")}`);
}

/**
 * Refuses to go on with other settings than the run began with. What only one of both tells about at all, an older or a newer program's
 * checkpoint, isn't compared.
 * @throws EvenkeelError `value` that lists what differs.
 * @example
 * ```ts
 * import { memoryFolder } from "evenkeel/engine/io";
 *
 * try {
 *   checkSameSettings({ nimg: 1000, fixed: { batch: 16, seed: 1 }, progress: {} }, { batch: 32, seed: 1 }, memoryFolder());
 * } catch (error) {
 *   console.log((error as Error).message.includes("batch")); // true
 * }
 * ```
 */
export function checkSameSettings(
  checkpoint: CheckpointInfo,
  fixed: Readonly<Record<string, unknown>>,
  folder: Folder,
): void {
  const list = differingSettings(checkpoint.fixed, fixed);
  if (list.length === 0) return;
  throw new EvenkeelError(
    "value",
    `${folder.path} holds a run of ${checkpoint.nimg} images with other settings: ${list.join("; ")}. ` +
      "Go on with the settings it began with, or choose another folder.",
  );
}

/**
 * What differs of settings that both tell about, each as `name was this, now that`.
 * @example console.log(differingSettings({ batch: 16, seed: 1 }, { batch: 32 })); // [ 'batch was 16, now 32' ]
 */
export function differingSettings(
  before: Readonly<Record<string, unknown>>,
  now: Readonly<Record<string, unknown>>,
): readonly string[] {
  const common = (all: Readonly<Record<string, unknown>>): object =>
    Object.fromEntries(Object.entries(all).filter(([key]) => key in before && key in now));
  const was = flatten(JSON.parse(JSON.stringify(common(before))) as object);
  const is = flatten(JSON.parse(JSON.stringify(common(now))) as object);
  const differing = [...new Set([...was.keys(), ...is.keys()])].filter((key) => was.get(key) !== is.get(key));
  return differing.map((key) => `${key} was ${was.get(key) ?? "unset"}, now ${is.get(key) ?? "unset"}`);
}

/** Leaves of nested data by their path, as JSON. */
function flatten(value: unknown, path = ""): Map<string, string> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return new Map([[path, JSON.stringify(value)]]);
  return new Map(
    Object.entries(value).flatMap(([key, child]) => [...flatten(child, path === "" ? key : `${path}.${key}`)]),
  );
}
