/** The option `--autotune` of commands: the device webgpu's fastest tiles, found by timing and kept in a file. */
import { readFile } from "node:fs/promises";
import { type Device, type DeviceName, type DeviceOptions, EvenkeelError, type TuningTable } from "../engine/index.ts";
import { fileSystemError } from "../engine/io/node.ts";
import { writeText } from "./train/writeText.ts";

/** For commands' help. */
export const autotuneHelp =
  "file of the fastest tiles of the device webgpu: those it lacks are timed (some seconds for each program) and added to it";

/**
 * What a device is to be made with.
 * @param file of the option; undefined without it
 * @param isChosen whether the device was named, rather than found by `auto`
 * @throws EvenkeelError `value` for a device without tiles that was named, `file` for a file that can't be read
 */
export async function tuningOptions(
  file: string | undefined,
  name: DeviceName,
  isChosen: boolean,
): Promise<DeviceOptions> {
  if (file === undefined) return {};
  if (name === "webgpu") {
    const tuning = await readTable(file);
    return { webgpu: { autotune: true, ...(tuning === undefined ? {} : { tuning }) } };
  }
  if (!isChosen) return {};
  throw new EvenkeelError(
    "value",
    `--autotune times tiles of the device webgpu; this is to run on ${name}, which has none. Leave it out, or add --device webgpu.`,
  );
}

/** Keeps what was found. Says what it did, and never throws: what was computed by then is worth more. */
export async function keepTuning(file: string, device: Device, print: (line: string) => void): Promise<void> {
  if (device.runs !== "kernels" || device.tuning === undefined) return;
  try {
    const table = device.tuning();
    const before = await readTable(file);
    if (before !== undefined && before.adapter !== table.adapter) {
      print(`Tiles              not kept: ${file} is of "${before.adapter}". Name another file for this adapter.`);
      return;
    }
    await writeText(file, `${JSON.stringify(table, null, 1)}\n`);
    print(`Tiles              of ${Object.keys(table.tiles).length} products, in ${file}`);
  } catch (reason) {
    if (!(reason instanceof EvenkeelError)) throw reason;
    print(`Tiles              not kept: ${reason.message}`);
  }
}

/** The table of a file as it stands there, which the device checks; undefined if there is no file. */
async function readTable(file: string): Promise<TuningTable | undefined> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw fileSystemError(file, "reading the tiles", cause);
  }
  try {
    return JSON.parse(text) as TuningTable;
  } catch (cause) {
    throw new EvenkeelError("file", `${file}: it is no JSON, as --autotune keeps tiles. Name another file.`, { cause });
  }
}
