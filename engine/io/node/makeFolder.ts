import { mkdir, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { fileSystemError } from "./fileSystemError.ts";

/**
 * Makes a folder and those it lies in, unless they are there.
 * @throws EvenkeelError `file` that says why not: Node's way to make several at once says ENOENT on a read-only disk, and never ends in
 * `/proc`.
 * @example
 * ```ts
 * await makeFolder("runs/first/images");
 * await writeFileAtomically("runs/first/images/a.txt", (sink) => sink.write(new TextEncoder().encode("hello")));
 * ```
 */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await make(resolve(folder));
  } catch (cause) {
    throw fileSystemError(folder, "making the folder", cause);
  }
}

async function make(folder: string): Promise<void> {
  const failure = await makeOne(folder);
  if (!isMissing(failure)) {
    if (failure !== undefined) throw failure;
    return;
  }
  const parent = dirname(folder);
  if (!(await isFolder(parent))) await make(parent);
  const again = await makeOne(folder);
  if (again !== undefined) throw again;
}

/** What stands in the way of a folder whose parent is there: nothing if there is such a folder now. */
async function makeOne(folder: string): Promise<Error | undefined> {
  try {
    await mkdir(folder);
    return undefined;
  } catch (cause) {
    if (await isFolder(folder)) return undefined;
    return cause instanceof Error ? cause : new Error(String(cause));
  }
}

function isMissing(cause: Error | undefined): boolean {
  return cause !== undefined && "code" in cause && cause.code === "ENOENT";
}

function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (kind) => kind.isDirectory(),
    () => false,
  );
}
