import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { access, cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { entryPoints } from "./support/entryPoints.ts";

const root = resolve(import.meta.dirname, "..");
const run = promisify(execFile);

/** Runs a program and gives what it printed; a failure carries both its streams. */
async function output(cwd: string, command: string, ...args: readonly string[]): Promise<string> {
  try {
    const { stdout } = await run(command, args, { cwd, encoding: "utf8", maxBuffer: 2 ** 24 });
    return stdout;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const streams = ["stdout", "stderr"].map((name) => String(Reflect.get(error, name)));
    throw new Error([error.message, ...streams].join("\n"), { cause: error });
  }
}

type LockedPackage = { readonly dev?: boolean; readonly optional?: boolean; readonly devOptional?: boolean };

/** Where the packages lie that an installation of this one needs. */
async function requiredPackages(): Promise<string[]> {
  const lock = JSON.parse(await readFile(join(root, "package-lock.json"), "utf8")) as {
    readonly packages: Readonly<Record<string, LockedPackage>>;
  };
  return Object.entries(lock.packages)
    .filter(([path, { dev, optional, devOptional }]) => path !== "" && !(dev ?? optional ?? devOptional ?? false))
    .map(([path]) => path);
}

/** What `evenkeel/testing` wants beside the package. */
const testingPeer = ["node_modules/fast-check", "node_modules/pure-rand"];

/**
 * A new project with the packed tarball installed by npm. The packages it needs are put in place beforehand, so that npm
 * finds them there and no registry is asked; of WebGPU only the large native part is left out, since nothing here uses it.
 */
async function installFresh(project: string, tarball: string): Promise<void> {
  const overrides: unknown = Reflect.get(
    JSON.parse(await readFile(join(root, "package.json"), "utf8")) as object,
    "overrides",
  );
  await mkdir(project);
  await writeFile(
    join(project, "package.json"),
    JSON.stringify({ name: "fresh", version: "1.0.0", private: true, type: "module", overrides }),
  );
  for (const path of [...(await requiredPackages()), ...testingPeer]) {
    await cp(join(root, path), join(project, path), {
      recursive: true,
      filter: (source) => basename(dirname(source)) !== "dist" || basename(dirname(dirname(source))) !== "webgpu",
    });
  }
  await linkCommands(project);
  await output(
    project,
    "npm",
    "install",
    "--offline",
    `--cache=${join(project, "empty-cache")}`,
    "--no-save",
    "--ignore-scripts",
    "--omit=optional",
    tarball,
  );
}

/** The commands of the packages in a project, without which npm takes them for half installed and fetches them again. */
async function linkCommands(project: string): Promise<void> {
  const folder = join(project, "node_modules");
  await mkdir(join(folder, ".bin"), { recursive: true });
  for (const path of await requiredPackages()) {
    const { bin, name } = JSON.parse(await readFile(join(project, path, "package.json"), "utf8")) as {
      readonly name: string;
      readonly bin?: string | Readonly<Record<string, string>>;
    };
    const commands = typeof bin === "string" ? { [basename(name)]: bin } : (bin ?? {});
    for (const [command, file] of Object.entries(commands)) {
      await symlink(join("..", path.replace(/^node_modules\//, ""), file), join(folder, ".bin", command));
    }
  }
}

describe("package", () => {
  let folder: string;
  let project: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "evenkeel-package-"));
    project = join(folder, "fresh");
    // Packing builds first.
    await output(root, "npm", "pack", "--pack-destination", folder);
    const [tarball, ...others] = (await readdir(folder)).filter((name) => name.endsWith(".tgz"));
    assert.ok(tarball !== undefined && others.length === 0);
    await installFresh(project, join(folder, tarball));
  });
  after(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  it("holds the built program, its types and its source, and nothing of the workshop", async () => {
    const installed = join(project, "node_modules", "evenkeel");
    const top = (await readdir(installed)).sort();
    assert.deepEqual(
      top.filter((name) => !["README.md", "ARCHITECTURE.md"].includes(name)),
      [
        "LICENSE",
        "bench",
        "cli",
        "diffusion",
        "dist",
        "docs",
        "engine",
        "examples",
        "nn",
        "onnx",
        "package.json",
        "test",
        "testing",
      ],
    );
    assert.deepEqual((await readdir(join(installed, "cli"))).sort(), ["evenkeel.js", "requireNode.js"]);
    for (const folder of ["bench", "test"]) {
      for (const name of await readdir(join(installed, folder))) assert.match(name, /\.md$/);
    }
    for (const face of entryPoints.values()) {
      const built = join(installed, "dist", face.slice(0, -".ts".length));
      for (const ending of [".js", ".d.ts", ".d.ts.map"]) await access(built + ending);
    }
  });

  it("has what its README links to and shows", async () => {
    const installed = join(project, "node_modules", "evenkeel");
    const readme = await readFile(join(installed, "README.md"), "utf8");
    const links = [...readme.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, path = ""]) => path);
    assert.ok(links.includes("docs/emoji16.png") && links.includes("ARCHITECTURE.md"), links.join());
    for (const path of links) await access(join(installed, path));
  });

  it("says why there is nothing to verify with", async () => {
    await assert.rejects(output(project, process.execPath, "node_modules/evenkeel/cli/evenkeel.js", "verify"), {
      message: /evenkeel: verify: there is no folder test\/reference here\. .* come with a clone of the repository/,
    });
  });

  it("keeps the methods of tensors when a bundler leaves out what isn't imported", async () => {
    await writeFile(
      join(project, "page.js"),
      `import { tensor } from "evenkeel";
       tensor([1, 2]).add(1).data().then((data) => console.log(JSON.stringify([...data])));`,
    );
    const { build } = await import("esbuild");
    const bundle = join(project, "bundle.mjs");
    const options = { bundle: true, format: "esm", platform: "node", packages: "bundle", logLevel: "silent" } as const;
    // Devices that load packages of their own are loaded on demand.
    const external = ["gpu.js", "webgpu"];
    await build({ ...options, external, entryPoints: [join(project, "page.js")], outfile: bundle });
    assert.deepEqual(JSON.parse(await output(project, process.execPath, bundle)), [2, 3]);
  });

  it("imports nothing in its built files by a TypeScript name", async () => {
    const dist = join(project, "node_modules", "evenkeel", "dist");
    const built = (await readdir(dist, { recursive: true })).filter((name) => name.endsWith(".js"));
    assert.ok(built.length > 0);
    for (const name of built) {
      const text = await readFile(join(dist, name), "utf8");
      assert.doesNotMatch(text, /(?:from|import|URL)\s*\(?\s*["'`]\.[^"'`\n]*\.ts["'`]/, name);
    }
  });

  for (const entry of entryPoints.keys()) {
    it(`gives ${entry} to JavaScript, in a process of its own`, async () => {
      await writeFile(
        join(project, "main.js"),
        `import * as room from "${entry}"; console.log(JSON.stringify(Object.values(room).every((it) => it !== undefined) && Object.keys(room).length));`,
      );
      assert.ok(Number(await output(project, process.execPath, "main.js")) > 0);
    });
  }

  it("computes on wasm", async () => {
    await writeFile(
      join(project, "compute.js"),
      `import * as engine from "evenkeel/engine";
       const device = await engine.createDevice("wasm");
       const run = engine.compile((x) => engine.add(x, 1), { device });
       console.log(JSON.stringify(await (await run(engine.tensor([1, 2, 3]))).array()));
       run.dispose();
       device.dispose();`,
    );
    assert.deepEqual(JSON.parse(await output(project, process.execPath, "compute.js")), [2, 3, 4]);
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
    await writeFile(
      join(project, "tsconfig.json"),
      JSON.stringify({
        compilerOptions: { target: "es2022", module: "nodenext", strict: true, noEmit: true, types: [] },
        files: ["main.ts"],
      }),
    );
    await output(project, process.execPath, join(root, "node_modules", "typescript", "bin", "tsc"), "-p", ".");
  });

  it("brings the command", async () => {
    const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as { readonly version: string };
    assert.equal((await output(project, "npx", "--offline", "evenkeel", "--version")).trim(), version);
  });
});
