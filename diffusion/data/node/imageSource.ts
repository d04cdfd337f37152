import { open, readdir, stat } from "node:fs/promises";
import { extname, join } from "node:path";
import { EvenkeelError } from "../../../engine/index.ts";
import { openZip } from "./zipFile.ts";

/** Named files: of a folder, or of a zip archive. Names have forward slashes and are sorted. */
export interface FileSource extends AsyncDisposable {
  readonly name: string;
  readonly files: readonly string[];
  /** @throws EvenkeelError `file` that names the source and the file. */
  read(file: string): Promise<Uint8Array>;
}

/** Files larger than this are no images of a data set. */
export const maximumFileBytes = 2 ** 28;

/** The files of a folder (with all below it) or of a .zip. @throws EvenkeelError `file` if there is neither. */
export async function openFiles(path: string): Promise<FileSource> {
  const kind = await stat(path).catch((cause: unknown) => {
    throw new EvenkeelError("file", `can't open ${path}: ${messageOf(cause)}`, { cause });
  });
  if (kind.isDirectory()) return openFolder(path);
  if (extname(path).toLowerCase() === ".zip") return openZip(path);
  throw new EvenkeelError("file", `${path}: expected a folder of images or a .zip.`);
}

async function openFolder(path: string): Promise<FileSource> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(path.length).replaceAll("\\", "/").replace(/^\/+/, ""))
    .sort();
  return {
    name: path,
    files,
    read: async (file) => {
      const full = join(path, file);
      try {
        await using handle = await open(full, "r");
        const { size } = await handle.stat();
        if (size > maximumFileBytes) throw new EvenkeelError("file", `it has ${size} bytes, more than an image would`);
        return await handle.readFile();
      } catch (cause) {
        throw new EvenkeelError("file", `can't read ${full}: ${messageOf(cause)}`, { cause });
      }
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
}

export function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
