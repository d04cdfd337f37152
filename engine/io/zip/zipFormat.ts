/** Numbers of the zip format that are both read and written. Source: PKWARE, APPNOTE.TXT 6.3.10, sections 4.3 to 4.5. */

/** What records begin with. */
export const [localMark, entryMark, endMark, farEndMark, farPlaceMark, checkMark] = [
  0x04034b50, 0x02014b50, 0x06054b50, 0x06064b50, 0x07064b50, 0x08074b50,
] as const;

/** Bytes of records without their names and fields: before a file, in the directory, the last one, zip64's last one and the place of it. */
export const [localBytes, entryBytes, endBytes, farEndBytes, farPlaceBytes] = [30, 46, 22, 56, 20] as const;

/** What a size, an offset or a count is when the true one stands elsewhere. */
export const [elsewhere, countElsewhere] = [2 ** 32 - 1, 2 ** 16 - 1] as const;

/** The extra field that holds what stands elsewhere. */
export const farField = 1;

/** Flags of an entry: encrypted, its checksum follows its content, its name is UTF-8. */
export const [encryptedFlag, checkedBehindFlag, utf8Flag] = [1, 8, 0x800] as const;

/** Ways of packing that are read. */
export const [stored, deflated] = [0, 8] as const;

/** Mode bits of an entry as Unix has them: the mask of kinds, a link, and a file that all may read. */
export const [kindMask, linkMode, fileMode] = [0o170000, 0o120000, 0o100644] as const;

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Above 2 ** 53 not exact, which is more than any file has. */
export function readUint64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
}

export function writeUint64(view: DataView, at: number, value: number): void {
  view.setBigUint64(at, BigInt(value), true);
}
