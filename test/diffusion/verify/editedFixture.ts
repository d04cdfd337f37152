import assert from "node:assert/strict";
import { cpSync, existsSync, mkdtempSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { type FileReport, verifyFolder, type VerifyReport } from "../../../diffusion/verify/node.ts";
import { type DeviceName, getDevice } from "../../../engine/index.ts";
import type { StoredTensor, WritableTensor } from "../../../engine/io/index.ts";
import { readSafetensors, writeSafetensors } from "../../../engine/io/node.ts";
import { referenceFolder } from "../ema/referenceFiles.ts";

/** Asserts that every file passed, and that something was compared in each. */
export function assertPassed(report: VerifyReport): void {
  const failures = report.files.flatMap(({ file, failures }) => failures.map((failure) => `${file}: ${failure}`));
  assert.deepEqual(failures, []);
  assert.equal(report.failed, 0);
  assert.ok(report.passed > 0);
  assert.equal(report.passed, report.files.length);
  for (const { file, tensors } of report.files) assert.ok(tensors > 0, file);
}

/** A reference file's content, to be changed. */
export type Content = { readonly tensors: Map<string, WritableTensor>; readonly metadata: Map<string, string> };

/** A folder of this test's own below the system's temporary one. */
export function newFolder(): string {
  return mkdtempSync(path.join(os.tmpdir(), "evenkeel-verify-"));
}

/** A folder with a changed copy of one reference file, and the folder of snapshots that belongs to it. */
export async function editedFolder(name: string, edit: (content: Content) => void): Promise<string> {
  const folder = newFolder();
  const source = path.join(referenceFolder, name);
  const file = await readSafetensors(source);
  const tensors = new Map([...file.tensors()].map((tensor): [string, StoredTensor] => [tensor.name, tensor]));
  const metadata = new Map(file.metadata);
  edit({ tensors, metadata });
  await writeSafetensors(path.join(folder, name), tensors, { metadata });
  const companion = source.replace(/\.safetensors$/, "");
  if (existsSync(companion)) cpSync(companion, path.join(folder, path.basename(companion)), { recursive: true });
  return folder;
}

/** What verifying says of the one changed file. */
export async function verifyEdited(
  name: string,
  device: DeviceName,
  edit: (content: Content) => void,
  rtolScale = 1,
): Promise<FileReport> {
  const { files } = await verifyFolder(await editedFolder(name, edit), await getDevice(device), { rtolScale });
  const [report] = files;
  if (report === undefined) throw new Error(`${name} was not looked at`);
  return report;
}

/** The options of a file's cases, changed. */
export function editCases({ metadata }: Content, edit: (cases: Record<string, Record<string, unknown>>) => void): void {
  const cases = JSON.parse(metadata.get("cases") ?? "") as Record<string, Record<string, unknown>>;
  edit(cases);
  metadata.set("cases", JSON.stringify(cases));
}

/**
 * A tensor whose largest element is off by `relative`, or a single number that is off by a tenth and a bit; integers and 16-bit
 * floats are off by two places.
 */
export function spoiled(tensor: WritableTensor, relative: number): WritableTensor {
  switch (tensor.dtype) {
    case "F32":
    case "F64": {
      const data = tensor.dtype === "F32" ? new Float32Array(tensor.data) : new Float64Array(tensor.data);
      const size = Math.max(...Array.from(data, Math.abs));
      const worst = data.findIndex((value) => Math.abs(value) === size);
      const shift = data.length === 1 ? 0.1 * size + 0.1 : size === 0 ? 1e-6 : relative * size;
      data[worst] = (data[worst] ?? 0) + shift;
      return { ...tensor, data } as WritableTensor;
    }
    case "F16": {
      if (!(tensor.data instanceof Uint16Array)) throw new Error("a stored F16 is bits");
      return { ...tensor, data: tensor.data.map((bits, i) => (i === 0 ? bits + 2 : bits)) };
    }
    case "U8":
      return { ...tensor, data: tensor.data.map((value, i) => (i === 0 ? value ^ 2 : value)) };
    case "I64":
      return { ...tensor, data: tensor.data.map((value, i) => (i === 0 ? value + 2n : value)) };
    default:
      throw new Error(`no way to spoil ${tensor.dtype}`);
  }
}
