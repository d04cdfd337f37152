import { type FileSink, type Folder, writeZip } from "../../engine/io/index.ts";
import { Meter, runFilesOf, type TravelOptions, type TravelReport } from "./copyRun.ts";
import { describeRunFiles, filesToTake } from "./runFiles.ts";

/** The first time that an archive can keep. */
const earliest = new Date(Date.UTC(1980, 0, 1));

/**
 * Writes a zip of the run in a folder: one folder in it, with the run's name. Locks and unfinished files stay. Not while the run goes on:
 * a checkpoint may be replaced meanwhile. The same files give the same bytes.
 * @param sink where the archive goes; what was written is worth nothing if this fails.
 * @param options `modified`: the time that all files have in it, by default the first that it can keep.
 * @throws EvenkeelError `file` for what is no run, and what can't be read; `aborted`; what the sink throws.
 * @example
 * ```ts
 * import { memoryFolder, writeText, ZipArchive } from "evenkeel/engine/io";
 *
 * const folder = memoryFolder("run");
 * await writeText(folder.file("settings.toml"), 'preset = "smoke"\n');
 * await writeText(folder.file("network-snapshot-0000001-0.100.safetensors"), "");
 * const zip = memoryFolder().file("run.zip");
 * await zip.write(async (sink) => void (await exportRun(folder, sink)));
 * const { entries } = await ZipArchive.open(await zip.open(), zip.path);
 * console.log(entries.map(({ name }) => name)); // [ 'run/network-snapshot-0000001-0.100.safetensors', 'run/settings.toml' ]
 * ```
 */
export async function exportRun(
  folder: Folder,
  sink: FileSink,
  options: TravelOptions & { readonly modified?: Date | undefined } = {},
): Promise<TravelReport> {
  const { names, told } = await filesToTake(folder);
  const missing = describeRunFiles(folder.path, names);
  const files = await runFilesOf(folder, names);
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  const meter = new Meter(bytes, options);
  const [top, modified] = [nameOf(folder), options.modified ?? earliest];
  const entries = files.map(({ name, size, content }) => ({
    name: `${top}/${name}`,
    modified,
    size,
    content: meter.pass(content()),
  }));
  await writeZip(sink, entries);
  return { files: names, bytes, told: [...told, ...missing] };
}

/** What a run is called: the last part of its path. */
function nameOf({ path }: Folder): string {
  const name = path.split(/[\\/]/).findLast((part) => part !== "");
  return name === undefined || /^\.|[:\0]/.test(name) ? "run" : name;
}
