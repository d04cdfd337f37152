/** Files that somebody gives the page: picked by an input, or dropped. */

import type { GivenFile } from "../../engine/io/index.ts";

/** What an input has picked; it is empty again afterwards, so that the same can be picked once more. */
export function filesOfInput(input: HTMLInputElement): readonly GivenFile[] {
  const files = [...(input.files ?? [])].map((file) => ({
    path: file.webkitRelativePath === "" ? file.name : file.webkitRelativePath,
    blob: file,
  }));
  input.value = "";
  return files;
}

/** What was dropped, with all that lies in dropped folders. */
export async function filesOfDrop(transfer: DataTransfer): Promise<readonly GivenFile[]> {
  // All at once: the browser forgets what was dropped as soon as this is left.
  const dropped = [...transfer.items].map((item) => ({ entry: item.webkitGetAsEntry(), file: item.getAsFile() }));
  const files = await Promise.all(
    dropped.map(async ({ entry, file }): Promise<readonly GivenFile[]> => {
      if (entry !== null) return filesOfEntry(entry, "");
      // What lies nowhere, such as a picture of another page.
      return file === null ? [] : [{ path: file.name, blob: file }];
    }),
  );
  return files.flat();
}

async function filesOfEntry(entry: FileSystemEntry, folder: string): Promise<readonly GivenFile[]> {
  const path = folder + entry.name;
  if (isFile(entry)) {
    const blob = await new Promise<File>((resolve, reject) => entry.file(resolve, reject));
    return [{ path, blob }];
  }
  if (!isFolder(entry)) return [];
  const reader = entry.createReader();
  const files: GivenFile[] = [];
  for (;;) {
    // It gives some at a time, and none when there are no more.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return files;
    for (const each of some) files.push(...(await filesOfEntry(each, `${path}/`)));
  }
}

const isFile = (entry: FileSystemEntry): entry is FileSystemFileEntry => entry.isFile;
const isFolder = (entry: FileSystemEntry): entry is FileSystemDirectoryEntry => entry.isDirectory;

/** What to call files that were given together: by their folder, or the first of them. */
export function titleOfGiven(files: readonly GivenFile[]): string {
  const first = files[0]?.path ?? "files";
  return first.includes("/") ? (first.split("/")[0] ?? first) : first;
}
