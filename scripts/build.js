/**
 * The program as it is published, in `dist`: JavaScript of every file, with its comments, and the types that entry points lead to; the command as one
 * file; packages that users needn't install within the files that ask for them, with their licences; examples as JavaScript.
 */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { build } from "esbuild";

const root = resolve(import.meta.dirname, "..");
const dist = join(root, "dist");
const readJson = (path) => JSON.parse(readFileSync(path, "utf8"));
const manifest = readJson(join(root, "package.json"));
const filesOf = (folder) =>
  readdirSync(folder, { recursive: true, encoding: "utf8" }).map((name) => join(folder, name));

/** What packages within ours ask for where it is there, and do without where it isn't. */
const absent = ["canvas", "gl", "os", "worker_threads"];

/** What is written as CommonJS asks for modules of Node's own. */
const requireInModule =
  'import { createRequire as requireFrom } from "node:module"; const require = requireFrom(import.meta.url);';

/** Licences under which code may be given on as part of this package. */
const permissive = /^(MIT|ISC|BSD-2-Clause|BSD-3-Clause|Apache-2\.0|0BSD|Unlicense)$/;

rmSync(dist, { recursive: true, force: true });
const compiler = join(root, "node_modules", "typescript", "bin", "tsc");
execFileSync(process.execPath, [compiler, "-p", "tsconfig.build.json", "--noCheck"], { cwd: root, stdio: "inherit" });

const packages = new Map();
// In a page, too: there it has no `require`, and finds nothing of Node's.
const inPages = { platform: "neutral", mainFields: ["module", "main"], external: [] };
await fill("engine/devices/gpujs/library", { ...inPages, plugins: [absentPackages()] });
await fill("engine/io/zip/inflate", inPages);
// The layers before it stay files of their own: who is given to `explain` imports the same ones.
await fill("cli/main", {
  platform: "node",
  plugins: [otherLayers(), absentPackages()],
  banner: { js: requireInModule },
});
removeFiles(join(dist, "cli"), (path) => path !== join(dist, "cli", "main.js"));
writeFileSync(join(dist, "LICENSES.md"), licences());

const reached = typesReached();
removeFiles(dist, (path) => /\.d\.ts(\.map)?$/.test(path) && !reached.has(path.replace(/\.map$/, "")));

/** Writes what a file imports of packages into it. */
async function fill(file, options) {
  const path = join(dist, `${file}.js`);
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: [path],
    outfile: path,
    allowOverwrite: true,
    bundle: true,
    metafile: true,
    format: "esm",
    target: "es2022",
    legalComments: "none",
    logLevel: "warning",
    external: [...Object.keys(manifest.dependencies), ...Object.keys(manifest.peerDependencies)],
    ...options,
  });
  for (const input of Object.keys(metafile.inputs)) {
    const [, folder] = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input) ?? [];
    if (folder !== undefined) packages.set(folder, readJson(join(root, folder, "package.json")));
  }
}

/** As if they weren't installed: whoever asks for them finds that out as it does elsewhere. */
function absentPackages() {
  return {
    name: "absentPackages",
    setup({ onResolve, onLoad }) {
      onResolve({ filter: new RegExp(`^(${absent.join("|")})$`) }, ({ path, importer }) =>
        importer.includes("node_modules") ? { path, namespace: "absent" } : undefined,
      );
      onLoad({ filter: /./, namespace: "absent" }, ({ path }) => ({ contents: `throw new Error("no ${path} here");` }));
    },
  };
}

function otherLayers() {
  return {
    name: "otherLayers",
    setup({ onResolve }) {
      onResolve({ filter: /^\.\.?\// }, ({ path, resolveDir }) => {
        const target = relative(dist, resolve(resolveDir, path));
        return target.startsWith("cli/") ? undefined : { path: `../${target}`, external: true };
      });
    },
  };
}

function removeFiles(folder, isUnwanted) {
  for (const path of filesOf(folder)) if (isUnwanted(path)) rmSync(path, { recursive: true, force: true });
}

/** The declarations that entry points lead to. */
function typesReached() {
  const reached = new Set();
  const follow = (path) => {
    if (reached.has(path)) return;
    reached.add(path);
    for (const [, target] of readFileSync(path, "utf8").matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+)"/g)) {
      follow(resolve(dirname(path), target).replace(/\.[jt]s$/, ".d.ts"));
    }
  };
  for (const { types } of Object.values(manifest.exports)) if (types !== undefined) follow(join(root, types));
  return reached;
}

/** The texts that the licences of packages within ours want to be kept. */
function licences() {
  const parts = [...packages].map(([folder, { name, version, license, author }]) => {
    if (!permissive.test(license)) throw new Error(`${name} is under ${license}: may it be given on?`);
    const file = readdirSync(join(root, folder)).find((entry) => /^licen[cs]e/i.test(entry));
    const by = typeof author === "object" ? author.name : author;
    const text = file === undefined ? `${license}, by ${by}` : readFileSync(join(root, folder, file), "utf8").trim();
    return { title: `${name} ${version} (${license})`, text };
  });
  parts.sort((one, other) => (one.title < other.title ? -1 : 1));
  const sections = parts.map(({ title, text }) => `## ${title}\n\n\`\`\`\n${text}\n\`\`\`\n`);
  return `# What else is in these files\n\nCode of other packages, each under its own licence.\n\n${sections.join("\n")}`;
}
