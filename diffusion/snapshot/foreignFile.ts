import { EvenkeelError } from "../../engine/index.ts";
import { type Folder, quoteText, type StoredFile } from "../../engine/io/index.ts";
import { foreignKind, foreignHeadBytes } from "../interchange/index.ts";

/** What a file of another program is, in words that go on from "is"; null for what isn't known, or can't be read. */
async function foreignFile(file: StoredFile): Promise<string | null> {
  try {
    const open = await file.open();
    try {
      return foreignKind(await open.read(0, Math.min(foreignHeadBytes, open.size)), file.path);
    } finally {
      await open.close();
    }
  } catch {
    // Whoever asks has a message of its own, why the file can't be read.
    return null;
  }
}

/**
 * Reads a file that must be of one kind; if that fails and it is known to be of another, the error says which.
 * @param own what `foreignFile` says of files that are as they should be.
 * @example
 * ```ts
 * import { memoryFolder, writeText } from "evenkeel/engine/io";
 *
 * const file = memoryFolder("nets").file("a.safetensors");
 * await writeText(file, '{ "weights": [] }');
 * const read = readOfKind(file, /^a safetensors/, () => readStoredSnapshot(file));
 * await read.catch((error: unknown) => console.log(String(error))); // EvenkeelError: nets/a.safetensors: is a JSON text. Expected a network as .safetensors or the authors' .pkl.
 * ```
 */
export async function readOfKind<T>(file: StoredFile, own: RegExp, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    if (!(cause instanceof EvenkeelError)) throw cause;
    const kind = await foreignFile(file);
    if (kind === null || own.test(kind)) throw cause;
    const sentence = /[.?]$/.test(kind) ? kind : `${kind}.`;
    throw new EvenkeelError(
      "file",
      `${file.path}: is ${sentence} Expected a network as .safetensors or the authors' .pkl.`,
      {
        cause,
      },
    );
  }
}

/** Files of a folder that are looked into for what they are. */
const mostFiles = 100;

/**
 * The files of other programs in a folder, by kind with their number and an example: what is there in the place of what was looked for.
 * @example
 * ```ts
 * import { memoryFolder, writeText } from "evenkeel/engine/io";
 *
 * const folder = memoryFolder();
 * await writeText(folder.file("weights.json"), "{}");
 * console.log(await foreignFilesOf(folder)); // [ '"weights.json" is a JSON text' ]
 * ```
 */
export async function foreignFilesOf(folder: Folder): Promise<readonly string[]> {
  const names = await folder.list().catch(() => []);
  const kinds = new Map<string, string[]>();
  for (const name of names.slice(0, mostFiles)) {
    const found = await foreignFile(folder.file(name));
    // What is to be done with it has been done.
    const kind = name.endsWith(".safetensors") ? (found?.replace(/^(a safetensors file)\..*/, "$1") ?? null) : found;
    if (kind !== null) kinds.set(kind, [...(kinds.get(kind) ?? []), name]);
  }
  return [...kinds].map(([kind, found]) => {
    const count = found.length === 1 ? "" : ` (and ${found.length - 1} more of the kind)`;
    return `${quoteText(found[0] ?? "")}${count} is ${kind}`;
  });
}
