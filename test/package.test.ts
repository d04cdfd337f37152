import assert from "node:assert/strict";
import { access, cp, mkdir, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core";
import { build } from "esbuild";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { filesBelow, output, packAndInstall, type PackedProject } from "./package/packedProject.ts";
import { testInPages } from "./package/pages.ts";
import { readmeTour } from "./package/tour.ts";
import { entryPoints } from "./support/entryPoints.ts";
import { webgpuSkip } from "./support/webgpuSkip.ts";

const root = resolve(import.meta.dirname, "..");
const compiler = join(root, "node_modules", "typescript", "bin", "tsc");

/** What an installation may take of a disk, with all that it brings. */
const mostBytes = 25e6;

/** What needs no other package. */
const withoutDependencies = [...entryPoints.keys()].filter((entry) => /^evenkeel(\/(engine|nn)(\/.*)?)?$/.test(entry));

/** What `evenkeel/testing` wants beside the package. */
const testingPeer = ["node_modules/fast-check", "node_modules/pure-rand"];

describe("package", () => {
  let packed: PackedProject;
  let project: string;
  /** What `test-device` says in a project without fast-check. */
  let withoutPeer: string;
  let installed: string;
  /** The command in the project. */
  const evenkeel = (...args: readonly string[]): Promise<string> =>
    output(project, process.execPath, "node_modules/evenkeel/cli/evenkeel.js", ...args);

  before(async () => {
    packed = await packAndInstall();
    ({ project, installed } = packed);
    withoutPeer = await evenkeel("test-device").catch(String);
    for (const path of testingPeer) await cp(join(root, path), join(project, path), { recursive: true });
  });
  after(async () => {
    await rm(packed.folder, { recursive: true, force: true });
  });

  it("is small, with all that it brings, which installs without running anything and is JavaScript alone", async (t) => {
    const files = (await filesBelow(join(project, "node_modules"))).filter(
      ({ path }) => !testingPeer.some((peer) => path.startsWith(join(project, peer))),
    );
    const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
    const manifests = files.filter(({ path }) => /node_modules\/(@[^/]+\/)?[^/@]+\/package\.json$/.test(path));
    t.diagnostic(`${(bytes / 1e6).toFixed(1)} MB, ${manifests.length} packages`);
    assert.ok(bytes <= mostBytes, `${bytes} bytes`);
    for (const { path } of manifests) {
      const { scripts = {} } = JSON.parse(await readFile(path, "utf8")) as { readonly scripts?: object };
      for (const script of ["preinstall", "install", "postinstall"]) assert.ok(!(script in scripts), path);
    }
    assert.deepEqual(
      files.filter(({ path }) => /\.(node|so|dll|dylib|exe)$|\/binding\.gyp$/.test(path)),
      [],
    );
  });

  it("holds the built program and its types, and nothing of the workshop", async () => {
    const top = (await readdir(installed)).sort();
    assert.deepEqual(
      top.filter((name) => !/\.(md|txt)$/.test(name)),
      ["LICENSE", "bench", "cli", "dist", "docs", "examples", "package.json", "test"],
    );
    for (const name of ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"]) assert.ok(top.includes(name), name);
    assert.deepEqual((await readdir(join(installed, "cli"))).sort(), ["evenkeel.js", "requireNode.js"]);
    for (const folder of ["bench", "test"]) {
      for (const name of await readdir(join(installed, folder))) assert.match(name, /\.md$/);
    }
    for (const face of entryPoints.values()) {
      const built = join(installed, "dist", face.slice(0, -".ts".length));
      for (const ending of [".js", ".d.ts"]) await access(built + ending);
    }
  });

  it("names the packages whose code it holds, with their licences", async () => {
    const text = await readFile(join(installed, "dist", "LICENSES.md"), "utf8");
    for (const name of ["gpu.js 2.24.1 (MIT)", "acorn ", "@observablehq/plot ", "linkedom ", "d3-scale "]) {
      assert.ok(text.includes(`\n## ${name}`), name);
    }
    assert.match(text, /Copyright \(c\) \d+ gpu\.js Team/);
  });

  it("has what its README links to and shows", async () => {
    const readme = await readFile(join(installed, "README.md"), "utf8");
    const links = [...readme.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, path = ""]) => path);
    assert.ok(links.includes("docs/emoji16.png") && links.includes("ARCHITECTURE.md"), links.join());
    for (const path of links) await access(join(installed, path));
  });

  it("asks for fast-check where it is wanted", () => {
    assert.match(withoutPeer, /evenkeel: test-device: the package fast-check, .* npm i -D fast-check/);
  });

  it("has nothing that publint would change", async () => {
    const { messages } = await publint({ pkgDir: installed, pack: false, strict: true });
    const manifest = JSON.parse(await readFile(join(installed, "package.json"), "utf8")) as Record<string, unknown>;
    assert.deepEqual(
      messages.map((message) => formatMessage(message, manifest)),
      [],
    );
  });

  it("has types that are right wherever the package can be imported", async () => {
    const tarball = new Uint8Array(await readFile(packed.tarball));
    // One of each kind: all of them are imported below.
    const entrypoints = [".", "./engine", "./engine/node", "./diffusion", "./diffusion/data/node"];
    const result = await checkPackage(createPackageFromTarballData(tarball), { entrypoints });
    assert.ok(result.types !== false);
    assert.equal(Object.keys(result.entrypoints).length, entrypoints.length);
    // Node 10 knows no `exports`, and TypeScript's node16 no `require` of modules, which all Nodes that the package is for do.
    const isOurs = (problem: (typeof result.problems)[number]): boolean =>
      !("resolutionKind" in problem) || !["node10", "node16-cjs"].includes(problem.resolutionKind);
    assert.deepEqual(result.problems.filter(isOurs), []);
  });

  it("says why there is nothing to verify with", async () => {
    await assert.rejects(evenkeel("verify"), {
      message: /evenkeel: verify: there is no folder test\/reference here\. .* come with a clone of the repository/,
    });
  });

  it("gives engine and nn without any other package, also when a bundler leaves out what isn't imported", async () => {
    const outdir = join(packed.folder, "alone");
    const sources = join(project, "alone");
    await mkdir(sources);
    const main = `
      import { tensor, createDevice, compile, add } from "evenkeel";
      for (const name of ["wasm", "cpu"]) {
        const device = await createDevice(name);
        const run = compile((x) => add(x, 1), { device });
        console.log(JSON.stringify(await (await run(tensor([1, 2]).multiply(2))).array()));
        device.dispose();
      }`;
    await writeFile(join(sources, "main.mjs"), main);
    const rooms = await Promise.all(
      withoutDependencies.map(async (entry, i) => {
        await writeFile(join(sources, `room${i}.mjs`), `export * from "${entry}";`);
        return join(sources, `room${i}.mjs`);
      }),
    );
    const { metafile } = await build({
      entryPoints: [join(sources, "main.mjs"), ...rooms],
      outdir,
      outExtension: { ".js": ".mjs" },
      bundle: true,
      splitting: true,
      metafile: true,
      format: "esm",
      platform: "node",
      logLevel: "silent",
    });
    const inputs = Object.keys(metafile.inputs).filter((path) => !/node_modules\/evenkeel\/|(^|\/)alone\//.test(path));
    assert.deepEqual(inputs, []);
    const asked = Object.values(metafile.outputs).flatMap(({ imports }) => imports.filter(({ external }) => external));
    assert.deepEqual(
      asked.map(({ path }) => path).filter((path) => !path.startsWith("node:")),
      [],
    );
    assert.equal(await output(outdir, process.execPath, "main.mjs"), "[3,5]\n[3,5]\n");
  });

  it("imports nothing in its built files by a TypeScript name", async () => {
    const dist = join(installed, "dist");
    const built = (await readdir(dist, { recursive: true })).filter((name) => name.endsWith(".js"));
    assert.ok(built.length > 0);
    for (const name of built) {
      const text = await readFile(join(dist, name), "utf8");
      assert.doesNotMatch(text, /(?:from|import|URL)\s*\(?\s*["'`]\.[^"'`\n]*\.ts["'`]/, name);
    }
  });

  it("gives all of its entries to JavaScript, each where no other is loaded", async () => {
    await writeFile(
      join(project, "entry.js"),
      `import { parentPort, workerData } from "node:worker_threads";
       const values = Object.values(await import(workerData));
       parentPort.postMessage(values.length > 0 && values.every((it) => it !== undefined));`,
    );
    await writeFile(
      join(project, "main.js"),
      `import { once } from "node:events";
       import { Worker } from "node:worker_threads";
       for (const entry of ${JSON.stringify([...entryPoints.keys()])}) {
         const [isWhole] = await once(new Worker(new URL("entry.js", import.meta.url), { workerData: entry }), "message");
         console.log(entry, isWhole);
       }
       process.exit();`,
    );
    const told = await output(project, process.execPath, "main.js");
    assert.equal(told, [...entryPoints.keys()].map((entry) => `${entry} true\n`).join(""));
  });

  it("gives all of them to CommonJS, too", async () => {
    await writeFile(
      join(project, "main.cjs"),
      `for (const entry of ${JSON.stringify([...entryPoints.keys()])}) console.log(Object.keys(require(entry)).length);`,
    );
    const counts = (await output(project, process.execPath, "--no-warnings", "main.cjs"))
      .trim()
      .split("\n")
      .map(Number);
    assert.equal(counts.length, entryPoints.size);
    for (const count of counts) assert.ok(count > 0);
  });

  it("gives types that hold what they say, in a project without Node's", async () => {
    const inPages = [...entryPoints.keys()].filter((entry) => !entry.endsWith("/node"));
    await writeFile(
      join(project, "main.ts"),
      `import { compile, tensor, type Tensor } from "evenkeel/engine";
       ${inPages.map((entry) => `import "${entry}";`).join("\n")}
       const double = compile((x: Tensor) => x.add(x));
       export const result: Promise<Tensor> = double(tensor([1, 2, 3]));
       // @ts-expect-error A string is no tensor.
       export const wrong = double("1");`,
    );
    const files = ["main.ts"];
    const settings = { target: "es2022", strict: true, noEmit: true, types: [] };
    for (const module of [{ module: "nodenext" }, { module: "esnext", moduleResolution: "bundler" }]) {
      const options = { compilerOptions: { ...settings, ...module }, files };
      await writeFile(join(project, "tsconfig.json"), JSON.stringify(options));
      await output(project, process.execPath, compiler, "-p", ".");
    }
  });

  it("compiles the README's program strictly, which then runs, and types for Node without the peers", async () => {
    await symlink(join(root, "node_modules", "@types"), join(project, "node_modules", "@types"), "junction");
    const inNode = [...entryPoints.keys()].filter((entry) => entry.endsWith("/node"));
    await writeFile(join(project, "tour.ts"), await readmeTour());
    await writeFile(join(project, "inNode.ts"), inNode.map((entry) => `import "${entry}";`).join("\n"));
    const strict = { strict: true, noUncheckedIndexedAccess: true, exactOptionalPropertyTypes: true };
    const settings = { target: "es2022", module: "nodenext", types: ["node"], ...strict };
    const files = ["tour.ts", "inNode.ts"];
    await writeFile(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions: settings, files }));
    try {
      await output(project, process.execPath, compiler, "-p", ".");
      assert.match(await output(project, process.execPath, "tour.js"), /\[ 2, 3 \] \[ \[ 0, 0, 0 \], \[ 0, 0, 0 \] \]/);
    } finally {
      await rm(join(project, "node_modules", "@types"));
    }
  });

  it("brings the command", async () => {
    const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as { readonly version: string };
    assert.equal((await output(project, "npx", "--offline", "evenkeel", "--version")).trim(), version);
  });

  it("trains, samples and draws its report without a peer", async () => {
    const header = Uint8Array.of(0, 0, 8, 3, 0, 0, 0, 64, 0, 0, 0, 8, 0, 0, 0, 8);
    const pixels = Uint8Array.from({ length: 64 * 64 }, (_, i) => (i * i) >> 3);
    await writeFile(join(project, "noise-images-idx3-ubyte"), Uint8Array.of(...header, ...pixels));
    const network = ["--channels", "4", "--channel-mult", "1", "--blocks", "1", "--channels-per-head", "4"];
    const run = ["--duration", "1000", "--batch", "500", "--samples", "0", "--outdir", "run"];
    await evenkeel("train", "--preset", "smoke", ...network, ...run, "--data", "noise-images-idx3-ubyte");
    assert.match(await readFile(join(project, "run", "report.html"), "utf8"), /<svg [^]*<path /);
  });

  it("runs its examples", async () => {
    const examples = join(installed, "dist", "examples");
    const sources = (await readdir(join(root, "examples"))).filter((name) => name.endsWith(".ts"));
    assert.deepEqual(
      (await readdir(examples)).filter((name) => name.endsWith(".js")).sort(),
      sources.map((name) => name.replace(/ts$/, "js")).sort(),
    );
    for (const name of sources) {
      assert.doesNotMatch(
        await readFile(join(root, "examples", name), "utf8"),
        /from "\.\./,
        `${name}: by the package's name`,
      );
    }
    assert.match(await output(project, process.execPath, join(examples, "mlp.js"), "wasm"), /^wasm [\d.e -]+\n$/);
    const explained = await evenkeel("explain", join(examples, "explainConvNet.js"), "--no-profile");
    assert.match(explained, /^device wasm: /);
  });

  it("names the peer that somebody wants who has it not", async () => {
    await writeFile(join(project, "subject.mts"), "export default { fn: (x: number) => x, args: [] };");
    await mkdir(join(project, "pictures"));
    await writeFile(join(project, "pictures", "a.png"), await readFile(join(root, "docs", "emoji16.png")));
    const convert = ["dataset", "convert", "--source", "pictures", "--dest", "a.zip", "--resolution", "8x8"];
    await assert.rejects(evenkeel(...convert), { message: /needs the package sharp.*`npm install sharp`/ });
    // Where Node reads TypeScript itself what is wrong with the file is told.
    await assert.rejects(evenkeel("explain", "subject.mts"), {
      message: Reflect.get(process.features, "typescript")
        ? /explain: /
        : /the package tsx can't be loaded.*`npm install tsx`/,
    });
    const ask = `import { createDevice } from "evenkeel"; await createDevice("webgpu").catch((error) => console.log(error.message));`;
    await writeFile(join(project, "ask.mjs"), ask);
    assert.match(await output(project, process.execPath, "ask.mjs"), /npm install webgpu@/);
  });

  it("computes on webgpu once its peer is there", { skip: webgpuSkip }, async () => {
    await symlink(join(root, "node_modules", "webgpu"), join(project, "node_modules", "webgpu"), "junction");
    await writeFile(
      join(project, "compute.mjs"),
      `import ${JSON.stringify(join(root, "test/support/softwareVulkan.ts"))};
       import { compile, createDevice, tensor } from "evenkeel/engine";
       const device = await createDevice("webgpu");
       const run = compile((x) => x.add(1), { device });
       console.log(JSON.stringify(await (await run(tensor([1, 2, 3]))).array()));
       run.dispose();
       device.dispose();`,
    );
    const tsx = join(root, "node_modules", "tsx", "dist", "esm", "index.mjs");
    assert.equal(await output(project, process.execPath, "--import", tsx, "compute.mjs"), "[2,3,4]\n");
  });

  testInPages(() => packed);
});
