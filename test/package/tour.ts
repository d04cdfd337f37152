/** The README's program. */
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";

const readme = resolve(import.meta.dirname, "../../README.md");

/** The tour of the engine as it stands there. */
export async function readmeTour(): Promise<string> {
  const [, tour] = /```ts\n([^]*?)```/.exec(await readFile(readme, "utf8")) ?? [];
  if (tour === undefined) throw new Error("the README has no program");
  return tour;
}
