import { readdir } from "node:fs/promises";
import path from "node:path";
import { type Device, type DeviceName, EvenkeelError } from "../../engine/index.ts";
import { readSafetensors } from "../../engine/io/node.ts";
import { Checks, describeFailure, type Deviation } from "./checks.ts";
import { Fixture } from "./fixture.ts";
import type { Kind } from "./kind.ts";
import { kinds } from "./kinds.ts";

/** What became of a file. */
export type VerifyStatus = "passed" | "failed";

/** What the checks of one file found. */
export type FileReport = {
  readonly file: string;
  /** The prefix of its name. */
  readonly kind: string;
  readonly status: VerifyStatus;
  /** Tensors that were compared with computed ones. */
  readonly tensors: number;
  /** Of each class the deviation that comes nearest to its tolerance, or goes farthest beyond. */
  readonly worst: readonly Deviation[];
  readonly failures: readonly string[];
  /**
   * What the file holds and nothing in it can show to be right or wrong: tensors that no check knows, inputs of results that it doesn't have,
   * remarks, options that change none of its numbers.
   */
  readonly notChecked: readonly string[];
  readonly milliseconds: number;
};

/** What `verifyFolder` found, file by file. */
export type VerifyReport = {
  readonly folder: string;
  readonly device: DeviceName;
  readonly files: readonly FileReport[];
  readonly passed: number;
  readonly failed: number;
};

/** Options of `verifyFolder`. */
export type VerifyOptions = {
  /** Factor on all tolerances. Default 1. */
  readonly rtolScale?: number;
  /** Told of every file when its checks are done. */
  readonly onFile?: (report: FileReport) => void;
};

/**
 * Compares what this program computes on a device with the numbers in every file of a folder whose name begins as a known kind's.
 * Each result is compared that a file has, and options that it leaves out are the published ones' defaults. A file that can't be read,
 * lacks what a result of it needs, has options that no check knows, or in which nothing is checked has failed. Tensors that no check knows
 * are listed as not checked.
 * @throws EvenkeelError `file` if the folder can't be read or has no file of a known kind, `value` for a scale not above 0.
 * @example
 * ```ts
 * import { getDevice } from "evenkeel/engine";
 * import { makeFolder } from "evenkeel/engine/io/node";
 * import { writeSafetensors } from "evenkeel/engine/node";
 *
 * await makeFolder("theirs");
 * const numbers = { sigma: 0.5, c_in: Math.SQRT2, c_out: Math.SQRT1_2 / 2, c_skip: 0.5, c_noise: Math.log(0.5) / 4 };
 * const tensors = Object.entries(numbers).map(([name, x]) => [`precond/${name}`, { dtype: "F32", shape: [1], data: Float32Array.of(x) }] as const);
 * await writeSafetensors("theirs/edm2_scalars.safetensors", tensors);
 * const { passed, failed } = await verifyFolder("theirs", await getDevice("wasm"));
 * console.log(passed, failed); // 1 0
 * ```
 */
export async function verifyFolder(folder: string, device: Device, options: VerifyOptions = {}): Promise<VerifyReport> {
  const { rtolScale = 1, onFile } = options;
  if (!(rtolScale > 0 && rtolScale < Infinity)) {
    throw new EvenkeelError("value", `verify: the scale of tolerances is ${rtolScale}, expected a number above 0.`);
  }
  const files: FileReport[] = [];
  for (const { name, kind } of await listKnown(folder)) {
    const report = await verifyFile(path.join(folder, name), name, kind, device, rtolScale);
    files.push(report);
    onFile?.(report);
  }
  const count = (status: VerifyStatus): number => files.filter((file) => file.status === status).length;
  return { folder, device: device.name, files, passed: count("passed"), failed: count("failed") };
}

type KnownFile = { readonly name: string; readonly kind: Kind };

async function listKnown(folder: string): Promise<KnownFile[]> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (cause) {
    const isFile = (cause as { code?: unknown }).code === "ENOTDIR";
    const reason = isFile
      ? `it is a file. Give the folder that it lies in, or one with it and what belongs to it alone.`
      : describeFailure(cause);
    throw new EvenkeelError("file", `verify: can't read the folder ${folder}: ${reason}`, { cause });
  }
  const known = names.toSorted().flatMap((name) => {
    const kind = kindOf(name);
    // A folder of snapshots belongs to the file of the same name.
    return kind === undefined || names.includes(`${name}.safetensors`) ? [] : [{ name, kind }];
  });
  if (known.length === 0) {
    const prefixes = [...new Set(kinds.map(({ prefix }) => prefix))].join(", ");
    throw new EvenkeelError(
      "file",
      `verify: ${folder} has no file of a known kind, which is one whose name begins with ${prefixes}.`,
    );
  }
  return known;
}

/** By prefix and extension; by the prefix alone for a file that will be refused for its extension. */
function kindOf(name: string): Kind | undefined {
  const ofPrefix = kinds.filter(({ prefix }) => name.startsWith(prefix));
  return ofPrefix.find(({ extension }) => name.endsWith(extension)) ?? ofPrefix[0];
}

async function verifyFile(
  file: string,
  name: string,
  kind: Kind,
  device: Device,
  rtolScale: number,
): Promise<FileReport> {
  const start = performance.now();
  const checks = new Checks(kind.tolerances, rtolScale);
  let notChecked: readonly string[] = [];
  await checks.part("", async () => {
    notChecked = await runChecks(file, kind, checks, device);
  });
  const { deviations, failures } = checks;
  return {
    file: name,
    kind: kind.prefix,
    status: failures.length > 0 ? "failed" : "passed",
    tensors: deviations.length,
    worst: worstOf(deviations),
    failures,
    notChecked,
    milliseconds: performance.now() - start,
  };
}

/** Runs a file's checks. @returns what could not be checked. */
async function runChecks(file: string, kind: Kind, checks: Checks, device: Device): Promise<readonly string[]> {
  if (!file.endsWith(kind.extension)) {
    checks.fail(`is not a ${kind.extension} file, so that nothing in it can be checked`);
    return [];
  }
  const content = await readSafetensors(kind.numbersOf?.(file) ?? file);
  const fixture = new Fixture(file, content);
  if (content.entries.size === 0) {
    checks.fail("has no tensors: nothing in it was checked");
    return [];
  }
  await kind.check(fixture, checks, device);
  if (checks.failures.length === 0 && checks.deviations.length === 0) checks.fail("nothing in it was checked");
  return fixture.notChecked();
}

/** Of each class the deviation that is largest for its tolerance. */
function worstOf(deviations: readonly Deviation[]): Deviation[] {
  const worst = new Map<string, Deviation>();
  for (const deviation of deviations) {
    const key = `${deviation.class} ${deviation.unit}`;
    const before = worst.get(key);
    if (before === undefined || strain(deviation) > strain(before)) worst.set(key, deviation);
  }
  return [...worst.values()];
}

function strain({ deviation, tolerance }: Deviation): number {
  return deviation === 0 ? 0 : deviation / tolerance;
}
