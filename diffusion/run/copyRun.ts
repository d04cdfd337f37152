import { EvenkeelError, messageOf, throwIfAborted } from "../../engine/index.ts";
import type { Folder, StoredFile } from "../../engine/io/index.ts";
import { isCheckpointName, readCheckpointInfo } from "../checkpoint/index.ts";
import { parseToml } from "../parseToml.ts";
import { settingsFileName } from "../settingsFileName.ts";
import { describeRunFiles, filesToTake, staysBehind } from "./runFiles.ts";

/** How whoever moves a run is told of it, and ends it. */
export type TravelOptions = {
  /** Told after each piece: bytes that were written, and all. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /** Ends it before the next piece; nothing is left of it. */
  readonly signal?: AbortSignal | undefined;
};

/** What was moved, with a line for each kind of thing that is missing, foreign or left out. */
export type TravelReport = {
  readonly files: readonly string[];
  readonly bytes: number;
  readonly told: readonly string[];
};

/** A file of a run, wherever it comes from. */
export type RunFile = {
  readonly name: string;
  readonly size: number;
  readonly content: () => AsyncIterable<Uint8Array>;
};

/** Bytes read and written at once. */
const pieceBytes = 2 ** 22;

/**
 * Copies the run in a folder, which may only be readable, into an empty one, whole or not at all: if it fails or is aborted, what was
 * written is removed; if the process ends meanwhile, `settings.toml`, which is written last, is missing. Locks and unfinished files stay.
 * @throws EvenkeelError `file` for what is no run (no settings, or neither a checkpoint nor a snapshot), for a folder that isn't empty, and
 * what can't be read or kept; `aborted`.
 * @example
 * ```ts
 * import { memoryFolder, writeText } from "evenkeel/engine/io";
 *
 * const [from, to] = [memoryFolder("run"), memoryFolder("copy")];
 * await writeText(from.file("settings.toml"), 'preset = "smoke"\n');
 * await writeText(from.file("network-snapshot-0000001-0.100.safetensors"), "");
 * console.log((await copyRun(from, to)).told); // [ "There is no checkpoint: the run can be sampled from, but it can't go on." ]
 * console.log(await to.list()); // [ 'network-snapshot-0000001-0.100.safetensors', 'settings.toml' ]
 * ```
 */
export async function copyRun(from: Folder, to: Folder, options: TravelOptions = {}): Promise<TravelReport> {
  const { names, told } = await filesToTake(from);
  const report = await bringRun(from.path, await runFilesOf(from, names), to, options);
  return { ...report, told: [...told, ...report.told] };
}

/** Files of a folder, to be read in pieces. */
export async function runFilesOf(folder: Folder, names: readonly string[]): Promise<RunFile[]> {
  const files: RunFile[] = [];
  for (const name of names) {
    const place = folder.file(name);
    files.push({ name, size: await sizeOf(place), content: () => piecesOf(place) });
  }
  return files;
}

async function sizeOf(place: StoredFile): Promise<number> {
  const file = await place.open();
  await file.close();
  return file.size;
}

async function* piecesOf(place: StoredFile): AsyncGenerator<Uint8Array> {
  const file = await place.open();
  try {
    for (let at = 0; at < file.size; at += pieceBytes) yield await file.read(at, Math.min(pieceBytes, file.size - at));
  } finally {
    await file.close();
  }
}

/** As `copyRun` does, from anywhere. @param source what messages call it. */
export async function bringRun(
  source: string,
  files: readonly RunFile[],
  to: Folder,
  options: TravelOptions,
): Promise<TravelReport> {
  const names = files.map(({ name }) => name);
  const told = describeRunFiles(source, names);
  await checkSettings(source, files);
  await to.prepare();
  const there = (await to.list()).filter((name) => !staysBehind(name));
  if (there.length > 0) {
    throw new EvenkeelError("file", `${to.path}: holds files already, such as ${there[0]}; wanted an empty folder.`);
  }
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  const meter = new Meter(bytes, options);
  const begun: StoredFile[] = [];
  const bring = async ({ name, content }: RunFile): Promise<void> => {
    const place = to.file(name);
    begun.push(place);
    await place.write(async (sink) => {
      for await (const piece of meter.pass(content())) await sink.write(piece);
    });
  };
  try {
    for (const file of files) if (file.name !== settingsFileName) await bring(file);
    told.push(...(await problemsOf(source, to, names)));
    // With it the folder is a run's.
    for (const file of files) if (file.name === settingsFileName) await bring(file);
  } catch (reason) {
    await removeAll(begun, reason);
    throw reason;
  }
  return { files: names, bytes, told };
}

/** Settings are a few lines; more bytes are something else. */
const mostSettingsBytes = 2 ** 20;

/** Before anything is written. @throws EvenkeelError `file`. */
async function checkSettings(source: string, files: readonly RunFile[]): Promise<void> {
  const settings = files.find(({ name }) => name === settingsFileName);
  if (settings === undefined) return;
  const path = `${source}: ${settingsFileName}`;
  if (settings.size > mostSettingsBytes) {
    throw new EvenkeelError("file", `${path}: has ${settings.size} bytes, which settings never have.`);
  }
  const decoder = new TextDecoder();
  let text = "";
  for await (const piece of settings.content()) text += decoder.decode(piece, { stream: true });
  parseToml(text + decoder.decode(), path);
}

/** Lines about checkpoints that can't be gone on from. @throws EvenkeelError `file` if none can and there is nothing else. */
async function problemsOf(source: string, folder: Folder, names: readonly string[]): Promise<string[]> {
  const checkpoints = names.filter(isCheckpointName);
  const problems: string[] = [];
  for (const name of checkpoints) {
    try {
      await readCheckpointInfo(folder.file(name));
    } catch (reason) {
      if (!(reason instanceof EvenkeelError)) throw reason;
      problems.push(`A checkpoint can't be gone on from: ${messageOf(reason)}`);
    }
  }
  if (checkpoints.length > 0 && problems.length === checkpoints.length) {
    throw new EvenkeelError("file", `${source}: holds no run of ours. ${problems.join(" ")}`);
  }
  return problems;
}

/** Removes what was written. @throws EvenkeelError `file` that tells of both failures if something stays. */
async function removeAll(places: readonly StoredFile[], reason: unknown): Promise<void> {
  for (const place of places) {
    await place.remove().catch((cause: unknown) => {
      throw new EvenkeelError("file", `${messageOf(reason)} What was written can't be removed: ${messageOf(cause)}`, {
        cause,
      });
    });
  }
}

/** Tells of bytes as they pass, and stops when asked to. */
export class Meter {
  readonly #total: number;
  readonly #options: TravelOptions;
  #done = 0;

  constructor(total: number, options: TravelOptions) {
    this.#total = total;
    this.#options = options;
  }

  /** @throws EvenkeelError `aborted`. */
  async *pass(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    this.#check();
    for await (const piece of pieces) {
      yield piece;
      this.#done += piece.length;
      this.#options.onProgress?.(this.#done, this.#total);
      this.#check();
    }
  }

  #check(): void {
    throwIfAborted(this.#options.signal, "moving the run was stopped; nothing is left of it.");
  }
}
