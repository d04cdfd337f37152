import type { OpenFile } from "../folder.ts";
import {
  countElsewhere,
  elsewhere,
  endBytes,
  endMark,
  entryMark,
  farEndBytes,
  farEndMark,
  farPlaceBytes,
  farPlaceMark,
  readUint64,
  viewOf,
} from "./zipFormat.ts";

/** Where an archive lies in its file, and where in it its directory. */
export type ZipPlace = {
  /** Bytes before it, such as a program that unpacks it. Offsets in it count from there. */
  readonly before: number;
  /** Where it ends. */
  readonly end: number;
  /** Where its directory begins in the file, and which byte it ends before. */
  readonly directoryStart: number;
  readonly directoryLimit: number;
  /** How many bytes its end says that its directory has, and how many files. */
  readonly directoryBytes: number;
  readonly files: number;
};

/** A last record, as it lies in the file. */
type EndRecord = Omit<ZipPlace, "directoryStart" | "directoryLimit"> & {
  readonly at: number;
  readonly directoryOffset: number;
  readonly isFirst: boolean;
  readonly hasDirectory: boolean;
};

/** So many records that may be the last one are looked at. */
const mostRecords = 16;

/**
 * Finds the last record of an archive: the one whose comment ends with the file, or else the last one whose comment fits; of several the one
 * that has a directory.
 * @throws Error if there is none.
 */
export async function findZip(file: OpenFile): Promise<ZipPlace> {
  const [record] = (await endRecords(file))
    .toSorted((a, b) => Number(b.end === file.size) - Number(a.end === file.size))
    .toSorted((a, b) => Number(b.hasDirectory) - Number(a.hasDirectory));
  if (record === undefined) {
    throw new Error("it has no directory of its files, as if it had been cut off: copy or download it again");
  }
  const far = await farEnd(file, record);
  const { before, end, at, directoryBytes, directoryOffset, files } = { ...record, ...far };
  if (far === null && !record.isFirst) throw new Error("it is one part of several, which must be joined first");
  return { before, end, directoryStart: before + directoryOffset, directoryLimit: at, directoryBytes, files };
}

async function endRecords(file: OpenFile): Promise<EndRecord[]> {
  const { size } = file;
  // A comment has less than 64 KiB.
  const length = Math.min(size, endBytes + 2 ** 16);
  const tail = viewOf(await file.read(size - length, length));
  const isEntryAt = async (place: number): Promise<boolean> =>
    place >= 0 && place + 4 <= size && viewOf(await file.read(place, 4)).getUint32(0, true) === entryMark;
  const found: EndRecord[] = [];
  for (let place = length - endBytes; place >= 0 && found.length < mostRecords; place--) {
    if (tail.getUint32(place, true) !== endMark) continue;
    const end = place + endBytes + tail.getUint16(place + 20, true);
    if (end > length) continue;
    const [directoryBytes, directoryOffset] = [tail.getUint32(place + 12, true), tail.getUint32(place + 16, true)];
    const at = size - length + place;
    const directoryStart = at - directoryBytes;
    const isInPlace = await isEntryAt(directoryOffset);
    // Above 4 GiB the Mac's offsets are what is left of them.
    const isShifted =
      !isInPlace && size <= elsewhere && directoryOffset < directoryStart && (await isEntryAt(directoryStart));
    found.push({
      before: isShifted ? directoryStart - directoryOffset : 0,
      end: size - length + end,
      at,
      directoryBytes,
      directoryOffset,
      files: tail.getUint16(place + 10, true),
      isFirst: tail.getUint16(place + 4, true) === 0,
      hasDirectory: isInPlace || isShifted || directoryOffset === elsewhere || size > elsewhere,
    });
  }
  return found;
}

/** What zip64's record says, if an archive has one. */
async function farEnd(
  file: OpenFile,
  { at, before, directoryBytes, directoryOffset, files }: EndRecord,
): Promise<Pick<EndRecord, "at" | "directoryBytes" | "directoryOffset" | "files"> | null> {
  const isNeeded = directoryBytes === elsewhere || directoryOffset === elsewhere || files === countElsewhere;
  const place = at - farPlaceBytes;
  const found = place < before ? null : viewOf(await file.read(place, farPlaceBytes));
  if (found === null || found.getUint32(0, true) !== farPlaceMark) {
    if (directoryBytes === elsewhere || directoryOffset === elsewhere) {
      throw new Error("its end tells of a record for large archives that isn't there, so it is damaged");
    }
    return null;
  }
  const start = before + readUint64(found, 8);
  const isWithin = start + farEndBytes <= place;
  const record = isWithin ? viewOf(await file.read(start, farEndBytes)) : null;
  if (record === null || record.getUint32(0, true) !== farEndMark) {
    // Bytes of a directory may look like the place of a record.
    if (!isNeeded) return null;
    throw new Error("its end tells of a record for large archives that isn't there, so it is damaged");
  }
  if (record.getUint32(16, true) !== 0) throw new Error("it is one part of several, which must be joined first");
  return {
    at: start,
    files: readUint64(record, 32),
    directoryBytes: readUint64(record, 40),
    directoryOffset: readUint64(record, 48),
  };
}
