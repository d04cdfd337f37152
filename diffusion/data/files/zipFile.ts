import { EvenkeelError, messageOf } from "../../../engine/index.ts";
import { type NameGuess, type OpenFile, ZipArchive, type ZipEntry } from "../../../engine/io/index.ts";
import { foreignHeadBytes, foreignKind } from "../../interchange/index.ts";
import { FileNames } from "./fileNames.ts";
import { type FileSource, maximumFileBytes, TooLarge } from "./fileSource.ts";
import type { Reading } from "./reading.ts";

/**
 * The files of a zip archive, stored or deflated; read one at a time. Sizes are checked before anything is unpacked, checksums after. The
 * source closes the file, which is closed if this fails, too.
 * @param path what messages call the file.
 * @throws EvenkeelError `file` for a damaged archive, names that lead out of it or come twice.
 */
export async function openZip(file: OpenFile, path: string, reading: Reading): Promise<FileSource> {
  try {
    const archive = await ZipArchive.open(file, path);
    const names = namesOf(archive, path, reading);
    const { bytesAround } = archive;
    const name = path.split(/[\\/]/).at(-1) ?? path;
    if (bytesAround > 0) reading.notices.add("left out", `bytes around the archive, ${bytesAround} of them`, name);
    return zipSource(archive, path, names, () => file.close());
  } catch (cause) {
    const kind = await file.read(0, Math.min(file.size, foreignHeadBytes)).then(
      (head) => foreignKind(head, path),
      () => null,
    );
    await file.close();
    if (kind === null || kind.startsWith("a zip")) throw cause;
    throw new EvenkeelError("file", `${path}: is no zip: it is ${kind.replace(/\.$/, "")}.`, { cause });
  }
}

function zipSource(
  archive: ZipArchive,
  path: string,
  names: FileNames<ZipEntry>,
  close: () => Promise<void>,
): FileSource {
  const nameOf = (file: string): string => `${path}: ${file}`;
  const find = (file: string): ZipEntry => {
    const entry = names.get(file);
    if (entry === undefined) throw new EvenkeelError("file", `${nameOf(file)}: isn't there`);
    return entry;
  };
  return {
    name: path,
    files: names.sorted,
    wanted: null,
    nameOf,
    read: async (file, maximumBytes = maximumFileBytes) => {
      const entry = find(file);
      if (Math.max(entry.size, entry.packedSize) > maximumBytes) {
        const cause = new TooLarge(`claims ${entry.size} bytes, more than ${maximumBytes}`);
        throw new EvenkeelError("file", `${nameOf(file)}: ${cause.message}`, { cause });
      }
      return archive.read(entry);
    },
    head: async (file, bytes) => archive.head(find(file), bytes),
    close,
  };
}

/** Gathers an archive's files. @throws EvenkeelError `file` if one comes twice, or there are too many. */
function namesOf({ entries }: ZipArchive, path: string, reading: Reading): FileNames<ZipEntry> {
  const names = new FileNames<ZipEntry>(path, reading);
  const { notices } = reading;
  try {
    for (const entry of entries) {
      const { name, nameGuess, isLink } = entry;
      if (isLink)
        notices.add("left out", "links in archives; unpack it and use the folder to have them followed", name);
      else if (!/[\\/]$/.test(name)) {
        names.add(name, entry);
        if (nameGuess !== null) notices.add("guessed", guesses[nameGuess], name);
      }
    }
  } catch (cause) {
    throw new EvenkeelError("file", `${path}: can't be read as a zip: ${messageOf(cause)}.`, { cause });
  }
  return names;
}

const dos =
  "read as those of DOS (code page 437); if they look wrong, unpack it with the right one (unzip -O shift_jis, gbk, ...) and use the folder";
const guesses: Readonly<Record<NameGuess, string>> = {
  utf8: "names whose archive doesn't say how they are written, read as UTF-8, which they are by their form",
  dos: `names whose archive doesn't say how they are written, and which aren't UTF-8, ${dos}`,
  dosNotUtf8: `names whose archive says that they are UTF-8, which they aren't, ${dos}`,
};
