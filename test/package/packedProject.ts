/** The package as users have it: packed, and installed by npm into a project of its own. */
import { execFile } from "node:child_process";
import { cp, lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { promisify } from "node:util";

const root = resolve(import.meta.dirname, "../..");
const run = promisify(execFile);

/** Runs a program and gives what it printed; a failure carries both its streams. */
export async function output(cwd: string, command: string, ...args: readonly string[]): Promise<string> {
  try {
    const { stdout } = await run(command, args, { cwd, encoding: "utf8", maxBuffer: 2 ** 24 });
    return stdout;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const streams = ["stdout", "stderr"].map((name) => String(Reflect.get(error, name)));
    throw new Error([error.message, ...streams].join("\n"), { cause: error });
  }
}

export type PackedProject = {
  /** Where all lies, also what tests write beside the project. */
  readonly folder: string;
  readonly tarball: string;
  /** The project. */
  readonly project: string;
  /** The package in it. */
  readonly installed: string;
};

/** Builds, packs and installs. The folder is the caller's to remove. */
export async function packAndInstall(): Promise<PackedProject> {
  const folder = await mkdtemp(join(tmpdir(), "evenkeel-package-"));
  try {
    const project = join(folder, "fresh");
    // Packing builds first.
    await output(root, "npm", "pack", "--pack-destination", folder);
    const [tarball, ...others] = (await readdir(folder)).filter((name) => name.endsWith(".tgz"));
    if (tarball === undefined || others.length > 0) throw new Error(`npm packed ${[tarball, ...others].join()}`);
    await installFresh(project, join(folder, tarball));
    return { folder, project, tarball: join(folder, tarball), installed: join(project, "node_modules", "evenkeel") };
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
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

/**
 * A new project with the packed tarball installed by npm. The packages it needs are put in place beforehand, so that npm
 * finds them there and no registry is asked.
 */
async function installFresh(project: string, tarball: string): Promise<void> {
  await mkdir(project);
  const about = { name: "fresh", version: "1.0.0", private: true, type: "module" };
  await writeFile(join(project, "package.json"), JSON.stringify(about));
  for (const path of await requiredPackages()) await cp(join(root, path), join(project, path), { recursive: true });
  await linkCommands(project);
  const cache = `--cache=${join(project, "empty-cache")}`;
  await output(project, "npm", "install", "--offline", cache, "--no-save", "--no-audit", "--no-fund", tarball);
  await rm(join(project, "empty-cache"), { recursive: true, force: true });
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

/** All files below a folder, links not followed, with the bytes that each takes of a disk. */
export async function filesBelow(folder: string): Promise<{ readonly path: string; readonly bytes: number }[]> {
  const paths = (await readdir(folder, { recursive: true })).map((name) => join(folder, name));
  return Promise.all(
    paths.map(async (path) => {
      const { blocks } = await lstat(path);
      return { path, bytes: 512 * blocks };
    }),
  );
}
