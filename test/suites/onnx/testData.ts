import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The kinds of tests in the package, by their folders; `real` has addresses of models and no models. */
export const categories = ["node", "simple", "pytorch-operator", "pytorch-converted"] as const;
export type Category = (typeof categories)[number];

export type TestCase = { readonly category: Category; readonly name: string; readonly folder: string };

/**
 * Where the tests are that ONNX gives to its backends, as Debian packs them (`libonnx-testdata`): installed, or in the folder that the
 * environment's ONNX_TESTDATA names, or unpacked in the temporary folder, from a download by apt.
 */
export function findTestData(): string {
  const given = process.env["ONNX_TESTDATA"] ?? "/usr/share/libonnx-testdata/data";
  if (existsSync(join(given, "node"))) return given;
  const cache = join(tmpdir(), "evenkeel-onnx-testdata");
  const unpacked = join(cache, "usr/share/libonnx-testdata/data");
  if (!existsSync(join(unpacked, "node"))) {
    mkdirSync(cache, { recursive: true });
    execFileSync("apt-get", ["download", "-qq", "libonnx-testdata"], {
      cwd: cache,
      stdio: ["ignore", "ignore", "inherit"],
    });
    for (const file of readdirSync(cache).filter((name) => name.endsWith(".deb"))) {
      execFileSync("dpkg", ["-x", join(cache, file), cache]);
    }
  }
  return unpacked;
}

/** All tests whose names match. */
export function findCases(data: string, only: RegExp): TestCase[] {
  return categories.flatMap((category) =>
    readdirSync(join(data, category))
      .filter((name) => only.test(name))
      .sort()
      .map((name) => ({ category, name, folder: join(data, category, name) })),
  );
}
