/** Reading a run that another tab trains: its files come, go and grow meanwhile. */
import { EvenkeelError } from "../../engine/index.ts";
import type { Folder } from "../../engine/io/index.ts";

/** A file and what it takes. */
export type FileFacts = { readonly name: string; readonly bytes: number };

/** How often something is read before it counts as unreadable, and how much longer each wait is than the one before. */
const [attempts, milliseconds] = [5, 50];

/** Reads, and reads again if a file was changed or removed in the middle. @throws EvenkeelError `file` if it can't be read at rest, either. */
export async function whileWritten<T>(read: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await read();
    } catch (reason) {
      if (attempt === attempts || !(reason instanceof EvenkeelError) || reason.code !== "file") throw reason;
      await new Promise((resolve) => setTimeout(resolve, attempt * milliseconds));
    }
  }
}

/** The files of a folder with their sizes; those that are removed meanwhile aren't among them. */
export async function filesOf(folder: Folder): Promise<FileFacts[]> {
  const files: FileFacts[] = [];
  for (const name of await folder.list()) {
    const file = folder.file(name);
    try {
      const open = await file.open();
      await open.close();
      files.push({ name, bytes: open.size });
    } catch (reason) {
      if (await file.exists()) throw reason;
    }
  }
  return files;
}
