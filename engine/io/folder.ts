/** Files by name, wherever they lie: in a folder of a disk, in what a browser keeps for a page, in memory. */
import { fileError } from "./fileError.ts";

/** Takes the bytes of a file from its beginning to its end. Resolves when they have been handed on. */
export type FileSink = { write(bytes: Uint8Array): Promise<void> };

/** A file that is open for reading. */
export interface OpenFile {
  /** Bytes, when it was opened. */
  readonly size: number;
  /**
   * The `length` bytes from `offset` on, which lie within the file, in memory of their own.
   * @throws EvenkeelError `file` if they can't be read, also because the file was cut meanwhile; `memory` if they don't fit.
   */
  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
  /** What was read stays valid. */
  close(): Promise<void>;
}

/** A place for a file, whether there is one or not. */
export interface StoredFile {
  /** What it is called in its folder. */
  readonly name: string;
  /** What messages call it. */
  readonly path: string;
  /** Whether something is there. */
  exists(): Promise<boolean>;
  /** @throws EvenkeelError `file` if there is none, or it can't be read. */
  open(): Promise<OpenFile>;
  /**
   * Writes it whole or not at all: if anything fails, or the process ends, what was there before is there still. `produce` writes the content;
   * what it throws is thrown on.
   * @throws EvenkeelError `file` if it can't be kept: no space, not permitted, ...
   */
  write(produce: (sink: FileSink) => Promise<void>): Promise<void>;
  /** Adds bytes to its end, and begins it if there is none. @throws EvenkeelError `file`. */
  append(bytes: Uint8Array): Promise<void>;
  /** There is none afterwards. @throws EvenkeelError `file`. */
  remove(): Promise<void>;
}

/** Files beside each other. */
export interface Folder {
  /** What messages call it. */
  readonly path: string;
  /** The place of a file of this name, which has no slash. */
  file(name: string): StoredFile;
  /** The names of the files in it, sorted. @throws EvenkeelError `file` if it can't be read. */
  list(): Promise<readonly string[]>;
  /** Makes it unless it is there, and removes what writes that never ended left in it. @throws EvenkeelError `file`. */
  prepare(): Promise<void>;
}

/** All bytes of a file. @throws EvenkeelError `file`, `memory`. */
export async function readWhole(file: StoredFile): Promise<Uint8Array<ArrayBuffer>> {
  const open = await file.open();
  try {
    return await open.read(0, open.size);
  } finally {
    await open.close();
  }
}

/** A text file's text; null if there is none. @throws EvenkeelError `file` if it can't be read. */
export async function readTextIfAny(file: StoredFile): Promise<string | null> {
  if (!(await file.exists())) return null;
  return new TextDecoder().decode(await readWhole(file));
}

/**
 * Writes a text file, whole or not at all. @throws EvenkeelError `file`.
 * @example
 * ```ts
 * const file = await memoryFolder().file("a.txt");
 * await writeText(file, "hello");
 * console.log(await readTextIfAny(file)); // hello
 * ```
 */
export function writeText(file: StoredFile, text: string): Promise<void> {
  return file.write((sink) => sink.write(new TextEncoder().encode(text)));
}

/**
 * What a file's name ends with, from its last point on, which doesn't begin it; empty if there is none.
 * @example console.log(extensionOf("weights.safetensors")); // .safetensors
 */
export function extensionOf(name: string): string {
  const point = name.lastIndexOf(".");
  return point <= 0 ? "" : name.slice(point);
}

/** @throws EvenkeelError `file` for what names no file beside others. */
export function checkFileName(folder: string, name: string): void {
  if (name === "" || name === "." || name === ".." || /[/\\\0]/.test(name)) {
    throw fileError(folder, `${JSON.stringify(name)} is no name of a file in it: wanted one without slashes.`);
  }
}

/**
 * Whether a file of this name is what a killed process left half-written on a disk.
 * @example console.log(isUnfinished("weights.safetensors")); // false
 */
export function isUnfinished(name: string): boolean {
  return /^\.evenkeel-[0-9a-f]+\.partial$/.test(name);
}
