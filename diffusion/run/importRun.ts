import { EvenkeelError, messageOf } from "../../engine/index.ts";
import { type Folder, oneFolder, type OpenFile, ZipArchive, type ZipEntry } from "../../engine/io/index.ts";
import { bringRun, type TravelOptions, type TravelReport } from "./copyRun.ts";
import { staysBehind, tell } from "./runFiles.ts";

/**
 * Unpacks the run in a zip, lying outermost or in one folder, into an empty folder, whole or not at all, as `copyRun` does. What lies in
 * folders of the run's, links, locks and what systems leave behind is left out, which the report tells.
 * @param source what messages call the archive, which the caller closes.
 * @throws EvenkeelError `file` for what is no zip, no run, or damaged; for a folder that isn't empty, and what can't be kept; `aborted`.
 * @example
 * ```ts
 * import { memoryFolder, writeText } from "evenkeel/engine/io";
 *
 * const folder = memoryFolder("run");
 * await writeText(folder.file("settings.toml"), 'preset = "smoke"\n');
 * await writeText(folder.file("network-snapshot-0000001-0.100.safetensors"), "");
 * const zip = memoryFolder().file("run.zip");
 * await zip.write(async (sink) => void (await exportRun(folder, sink)));
 * const { files } = await importRun(await zip.open(), zip.path, memoryFolder("elsewhere"));
 * console.log(files); // [ 'network-snapshot-0000001-0.100.safetensors', 'settings.toml' ]
 * ```
 */
export async function importRun(
  archive: OpenFile,
  source: string,
  folder: Folder,
  options: TravelOptions = {},
): Promise<TravelReport> {
  const zip = await ZipArchive.open(archive, source);
  const links = zip.entries.filter(({ isLink }) => isLink).map(({ name }) => name);
  const { files, nested, litter } = outermost(zip, source);
  const taken = [...files].filter(([name]) => !staysBehind(name));
  const left = [...files.keys()].filter(staysBehind);
  const runFiles = taken.map(([name, entry]) => ({ name, size: entry.size, content: () => zip.content(entry) }));
  const report = await bringRun(source, runFiles, folder, options);
  const told = [
    ...tell("Left out what lies in folders of the run's, or beside it", nested),
    ...tell("Left out links", links),
    ...tell("Left out what systems leave behind", litter),
    ...tell("Left out what only the process that trained there needs", left),
  ];
  return { ...report, told: [...told, ...report.told] };
}

/** @throws EvenkeelError `file` if two have the same name. */
function outermost(zip: ZipArchive, source: string): ReturnType<typeof oneFolder<ZipEntry>> {
  try {
    return oneFolder(zip.entries.filter(({ isLink }) => !isLink).map((entry) => [entry.name, entry] as const));
  } catch (cause) {
    throw new EvenkeelError("file", `${source}: ${messageOf(cause)}.`, { cause });
  }
}
