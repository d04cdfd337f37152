import path from "node:path";
import { fileURLToPath } from "node:url";
import { type SafetensorsFile, toFloat64 } from "../../../engine/io/index.ts";
import { readSafetensors } from "../../../engine/io/node.ts";

/** Files of the reference implementation's numbers; EVENKEEL_REFERENCE names another folder of the same kinds. */
export const referenceFolder =
  process.env["EVENKEEL_REFERENCE"] ?? fileURLToPath(new URL("../../reference", import.meta.url));

export function readReference(name: string): Promise<SafetensorsFile> {
  return readSafetensors(path.join(referenceFolder, name));
}

/** The numbers of a tensor, whose shape tells how many rows it has. */
export function rowsOf(file: SafetensorsFile, name: string): number[][] {
  const tensor = file.tensor(name);
  const columns = tensor.shape.at(-1) ?? 1;
  const values = toFloat64(tensor);
  return Array.from({ length: values.length / columns }, (_, i) => [...values.slice(i * columns, (i + 1) * columns)]);
}

export function numbersOf(file: SafetensorsFile, name: string): number[] {
  return [...toFloat64(file.tensor(name))];
}
