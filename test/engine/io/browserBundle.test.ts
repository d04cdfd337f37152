import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

/** Bundles an entry of engine/io as for a page, and gives every module outside of it that it asks for. */
async function externals(entry: string): Promise<string[]> {
  const { metafile } = await build({
    entryPoints: [fileURLToPath(new URL(`../../../engine/io/${entry}`, import.meta.url))],
    bundle: true,
    write: false,
    metafile: true,
    format: "esm",
    target: "es2022",
    external: ["node:*"],
    logLevel: "silent",
  });
  return Object.values(metafile.inputs).flatMap(({ imports }) =>
    imports.filter(({ external }) => external === true).map(({ path }) => path),
  );
}

describe("the bundle for a page", () => {
  it("has no Node modules in engine/io/index.ts", async () => {
    assert.deepEqual(await externals("index.ts"), []);
  });

  it("would have shown those of engine/io/node.ts", async () => {
    assert.ok((await externals("node.ts")).includes("node:fs/promises"));
  });
});
