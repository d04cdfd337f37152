/**
 * Programs of this repository as single JavaScript files, for tests that start them as processes: to start one of these takes a
 * fraction of the second or two in which tsx has loaded some hundred files.
 */
import { cpSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { build } from "esbuild";

const root = resolve(import.meta.dirname, "../..");

/** A folder that resolves names as the repository's root does: packages, and `evenkeel/package.json`. */
function makeScope(): string {
  const folder = mkdtempSync(join(tmpdir(), "evenkeel-programs-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  cpSync(join(root, "package.json"), join(folder, "package.json"));
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"), "junction");
  return folder;
}

let scope: string | undefined;
const programs = new Map<string, Promise<string>>();

/** The file to give to Node for a TypeScript program, named from the repository's root. It is there until this process ends. */
export function bundledProgram(source: string): Promise<string> {
  const known = programs.get(source);
  if (known !== undefined) return known;
  scope ??= makeScope();
  const outfile = join(scope, `${programs.size}-${basename(source, ".ts")}.js`);
  const made = build({
    entryPoints: [join(root, source)],
    outfile,
    bundle: true,
    packages: "external",
    platform: "node",
    target: "node20",
    format: "esm",
    logLevel: "warning",
  }).then(() => outfile);
  programs.set(source, made);
  return made;
}

/** The command `evenkeel`. It has an engine of its own: what is loaded beside it, as `explain` does, has another. */
export function bundledCli(): Promise<string> {
  return bundledProgram("cli/main.ts");
}
