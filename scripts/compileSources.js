/**
 * The repository's TypeScript as JavaScript, file by file, for the processes of tests: tsx, which does the same in each process anew, takes
 * more time for it than most test files take for their tests.
 */
import { mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";

const { exports } = JSON.parse(readFileSync("package.json", "utf8"));
const folders = ["engine", "nn", "onnx", "torch", "testing", "diffusion", "cli", "test", "examples", "bench"];

/**
 * Writes `path/name.js` into `outdir` for each `path/name.ts` of the repository. To itself a file still lies where its source does
 * (`import.meta`), and stacks name the source if Node is started with `--enable-source-maps`.
 */
export async function compileSources(outdir) {
  const sources = folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".ts") && !path.includes("node_modules"))
      .map((path) => resolve(folder, path)),
  );
  mkdirSync(outdir, { recursive: true });
  writeFileSync(join(outdir, "package.json"), JSON.stringify({ type: "module" }));
  symlinkSync(resolve("node_modules"), join(outdir, "node_modules"), "junction");
  await build({
    entryPoints: sources,
    outdir,
    outbase: process.cwd(),
    // So that names of files are seen and changed; each stays a file of its own.
    bundle: true,
    plugins: [besideEachOther],
    packages: "external",
    define: { "import.meta.url": "sourceUrl", "import.meta.dirname": "sourceFolder" },
    sourcemap: "inline",
    sourcesContent: false,
    platform: "node",
    target: "node20.19",
    format: "esm",
    logLevel: "warning",
  });
}

const besideEachOther = {
  name: "besideEachOther",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^\./ }, ({ kind, path, resolveDir }) => {
      if (kind === "entry-point") return undefined;
      // Data stay where they are.
      const external = path.endsWith(".ts") ? path.replace(/ts$/, "js") : pathToFileURL(resolve(resolveDir, path)).href;
      return { path: external, external: true };
    });
    // Examples import the package by its name.
    onResolve({ filter: /^evenkeel(\/|$)/ }, ({ path, resolveDir }) => {
      const { default: built } = exports[path.replace(/^evenkeel/, ".")];
      return {
        path: relative(resolveDir, resolve(built.replace("/dist/", "/"))).replaceAll("\\", "/"),
        external: true,
      };
    });
    onLoad({ filter: /\.ts$/ }, ({ path }) => {
      const [url, folder] = [pathToFileURL(path).href, dirname(path)].map((text) => JSON.stringify(text));
      const text = readFileSync(path, "utf8");
      // On the first line, so that the others keep their numbers.
      const own = text.includes("import.meta") ? `const sourceUrl = ${url}, sourceFolder = ${folder};` : "";
      return { contents: own + text, loader: "ts" };
    });
  },
};
