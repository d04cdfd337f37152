/**
 * Prepares a folder that checks and measures a GPU on a bare Linux box: `npm run gpuCheck -- FOLDER [--with-node]`, then there
 * `FOLDER/run.sh --out RESULTS`. Nothing is downloaded later: the folder has the check and the engine in one file, gpu.js, the binary of
 * the package `webgpu`, PyTorch's programs for where it is installed, the libraries of a Vulkan loader for where there is none, and
 * with `--with-node` this machine's Node.
 */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const root = resolve(import.meta.dirname, "..");
const mostBytes = 64 * 2 ** 20;

/** What NVIDIA's Vulkan driver and its loader are linked with, which bare boxes may lack. */
const libraries = ["libvulkan.so.1", "libX11.so.6", "libXext.so.6", "libxcb.so.1", "libXau.so.6", "libXdmcp.so.6"];
const libraryFolders = ["/usr/lib/x86_64-linux-gnu", "/lib/x86_64-linux-gnu", "/usr/lib/chromium", "/usr/lib64"];

/** Copies what a package needs to be imported. */
function copyPackage(folder, name, parts) {
  for (const part of ["package.json", ...parts]) {
    const from = join(root, "node_modules", name, part);
    if (!existsSync(from)) throw new Error(`the package ${name} has no ${part}: run npm ci`);
    cpSync(from, join(folder, "node_modules", name, part), { recursive: true });
  }
}

function copyLibraries(folder) {
  mkdirSync(join(folder, "lib"));
  for (const library of libraries) {
    const from = libraryFolders.map((place) => join(place, library)).find((path) => existsSync(path));
    if (from === undefined) console.log(`without ${library}, which isn't on this machine`);
    else cpSync(realpathSync(from), join(folder, "lib", library));
  }
}

const bytesOf = (folder) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0);

const { values: options, positionals } = parseArgs({
  options: { "with-node": { type: "boolean", default: false } },
  allowPositionals: true,
});
const [target] = positionals;
if (target === undefined) {
  console.error("Which folder? npm run gpuCheck -- FOLDER [--with-node]");
  process.exit(1);
}
const folder = resolve(target);
// Only a folder that this wrote is replaced.
if (existsSync(folder) && readdirSync(folder).length > 0 && !existsSync(join(folder, "check.mjs"))) {
  console.error(`${folder} has other files in it: name a new or empty folder.`);
  process.exit(1);
}
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });

await build({
  entryPoints: [join(root, "bench/gpuCheck/main.ts")],
  outfile: join(folder, "check.mjs"),
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node20",
  external: ["gpu.js", "webgpu"],
  // What is bundled of CommonJS asks for modules of Node's own by `require`.
  banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
  absWorkingDir: root,
  logLevel: "warning",
});
copyPackage(folder, "gpu.js", ["src"]);
copyPackage(folder, "acorn", ["dist/acorn.js", "dist/acorn.mjs"]);
copyPackage(folder, "gpu-mock.js", ["index.js"]);
copyPackage(folder, "webgpu", ["index.js", `dist/linux-${process.arch}`]);
for (const name of readdirSync(join(root, "bench/peers/torch")).filter((file) => file.endsWith(".py"))) {
  cpSync(join(root, "bench/peers/torch", name), join(folder, "torch", name));
}
copyLibraries(folder);
cpSync(join(root, "bench/gpuCheck/run.sh"), join(folder, "run.sh"));
chmodSync(join(folder, "run.sh"), 0o755);
if (options["with-node"])
  writeFileSync(join(folder, "node.gz"), gzipSync(readFileSync(process.execPath), { level: 9 }));
try {
  const commit = execFileSync("git", ["rev-parse", "--short", "HEAD"], { cwd: root, encoding: "utf8" });
  writeFileSync(join(folder, "commit"), commit);
} catch {
  console.log("no git here: the results won't name a commit");
}

const bytes = bytesOf(folder);
console.log(`${folder}: ${(bytes / 2 ** 20).toFixed(1)} MiB. On the box: ${basename(folder)}/run.sh --out RESULTS`);
if (bytes > mostBytes) {
  console.error(`That is more than ${mostBytes / 2 ** 20} MiB.`);
  process.exit(1);
}
