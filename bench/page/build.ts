/** The files of the bench's page: everything bundled, the peers as scripts of their own. */
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const html = `<!doctype html>
<meta charset="utf-8">
<title>Evenkeel's bench in a page</title>
<link rel="icon" href="data:,">
<style>
  body { font: 16px sans-serif; max-width: 70em; margin: 2em auto; }
  pre { white-space: pre-wrap; }
  button { font: inherit; padding: 0.5em 2em; }
</style>
<h1>Evenkeel's bench in a page</h1>
<p>Ours, jax-js and TensorFlow.js on this page's WebGPU: the same programs, in turns. Results are compared before anything is measured.</p>
<button id="run" disabled>Measure</button>
<pre id="progress"></pre>
<pre id="table"></pre>
<script type="module" src="page.js"></script>
`;

const peers = ["@jax-js/jax", "@tensorflow/tfjs", "@tensorflow/tfjs-backend-webgpu"];

/** Whether a peer is installed beside the bench. */
function isInstalled(name: string): boolean {
  try {
    createRequire(import.meta.url).resolve(name);
    return true;
  } catch {
    return false;
  }
}

/** The page's script, with a loader for each peer: they lie beside the bench, where TypeScript doesn't look for them. */
function entryText(): string {
  const loaders = peers.map((name) => {
    const load = isInstalled(name)
      ? `() => import("${name}")`
      : '() => Promise.reject(new Error("not installed: npm ci --prefix bench"))';
    return `${JSON.stringify(name)}: ${load}`;
  });
  return `import { startPage } from "./page.ts";\nconst loaders = { ${loaders.join(", ")} };\nstartPage((name) => loaders[name]());\n`;
}

/** Names and contents. */
export async function pageFiles(): Promise<ReadonlyMap<string, Uint8Array>> {
  const folder = fileURLToPath(new URL(".", import.meta.url));
  const { outputFiles } = await build({
    stdin: { contents: entryText(), resolveDir: folder, sourcefile: "page.js" },
    entryNames: "page",
    bundle: true,
    splitting: true,
    write: false,
    outdir: folder,
    format: "esm",
    // Picks gpu.js's and the peers' builds for pages.
    platform: "browser",
    target: "es2022",
    logLevel: "error",
  });
  return new Map([
    ["index.html", new TextEncoder().encode(html)],
    ...outputFiles.map(({ path: file, contents }) => [path.basename(file), contents] as const),
  ]);
}
