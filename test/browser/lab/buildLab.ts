/** The lab as its build makes it, once for all tests of a process. */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative, resolve, sep } from "node:path";
import { build } from "vite";

/** Files by their address below the page's, as `assets/x.js`. */
export type LabFiles = ReadonlyMap<string, Uint8Array>;

const web = resolve(import.meta.dirname, "../../../web");

let made: Promise<LabFiles> | undefined;

/**
 * The lab's files. The data set that comes with them is made of some thousand pictures, which takes seconds: tests wait for it once.
 * The environment variable EVENKEEL_LAB names a folder that `npm run build:lab` or a host has, which is taken instead.
 */
export function labFiles(): Promise<LabFiles> {
  made ??= readLab();
  return made;
}

async function readLab(): Promise<LabFiles> {
  const named = process.env["EVENKEEL_LAB"];
  if (named !== undefined && named !== "") return readFolder(named);
  const folder = await mkdtemp(join(tmpdir(), "evenkeel-lab-"));
  try {
    await build({
      root: web,
      configFile: join(web, "vite.config.ts"),
      logLevel: "error",
      build: { outDir: folder, emptyOutDir: true },
    });
    return await readFolder(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** All files below a folder. */
export async function readFolder(folder: string): Promise<LabFiles> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const named = paths.map(async (path) => [relative(folder, path).split(sep).join("/"), await readFile(path)] as const);
  return new Map(await Promise.all(named));
}
