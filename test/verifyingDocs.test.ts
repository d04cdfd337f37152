/** The code of docs/verifying.md runs, and prints what stands below it. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { it } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";

const root = fileURLToPath(new URL("..", import.meta.url));
const page = readFileSync(path.join(root, "docs/verifying.md"), "utf8");

/** Each block of TypeScript, and the text that follows it. */
const blocks = [...page.matchAll(/```ts\n([^]*?)```\n\n```text\n([^]*?)```/g)].map(([, code = "", printed = ""]) => ({
  code,
  printed,
}));

it("the code of docs/verifying.md prints what the page says", async () => {
  assert.equal(blocks.length, page.match(/```ts\n/g)?.length);
  const folder = mkdtempSync(path.join(os.tmpdir(), "evenkeel-verifying-"));
  try {
    symlinkSync(path.join(root, "node_modules"), path.join(folder, "node_modules"));
    const face = (room: string): string => JSON.stringify(pathToFileURL(path.join(root, room, "index.ts")).href);
    const names = blocks.map(({ code }, i) => {
      const name = `block${i}.mts`;
      const text = code.replaceAll(/"evenkeel\/(engine|testing)"/g, (_, room: string) => face(room));
      writeFileSync(path.join(folder, name), text);
      return name;
    });
    // One process for all of them, one after the other.
    const main = path.join(folder, "main.mts");
    writeFileSync(main, names.map((name) => `await import("./${name}");\nconsole.log("-- end");\n`).join(""));
    const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", main], { cwd: root });
    assert.deepEqual(
      stdout.split("-- end\n").slice(0, -1),
      blocks.map(({ printed }) => printed),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});
