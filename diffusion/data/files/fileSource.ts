/** Named files: of a folder, or of an archive. */
export interface FileSource {
  /** What messages call it. */
  readonly name: string;
  /** Sorted, with forward slashes, without litter. */
  readonly files: readonly string[];
  /** The file that the path itself names, if it doesn't name a folder or archive: the others are its neighbours. */
  readonly wanted: string | null;
  /** What messages call a file. */
  nameOf(file: string): string;
  /** @throws EvenkeelError `file` that names the source and the file; also for more than `maximumBytes` (default: 256 MiB). */
  read(file: string, maximumBytes?: number): Promise<Uint8Array>;
  /** The first bytes of a file, as many as there are. @throws EvenkeelError `file` that names the source and the file. */
  head(file: string, bytes: number): Promise<Uint8Array>;
  /** Nothing is read any more. */
  close(): Promise<void>;
}

/** What was opened: the file that holds all, or the folder or archive. */
export function titleOf(source: FileSource): string {
  return source.wanted === null ? source.name : source.nameOf(source.wanted);
}

/** Files larger than this are no images of a data set. */
export const maximumFileBytes = 2 ** 28;

/** Arrays of images are no larger: as much as can be read at once. */
export const maximumArrayBytes = 2 ** 31 - 1;

/** Why a file isn't read that has more bytes than whoever asked for it wants. */
export class TooLarge extends Error {}

/** Whether a file has more bytes than were asked for, by the error of `FileSource.read`. */
export function isTooLarge(error: unknown): error is Error {
  return error instanceof Error && error.cause instanceof TooLarge;
}

/** What is told of files that the operating system or the browser doesn't give, which says nothing of what they hold. */
export const refusedFiles = "files that can't be opened or read; check who may read them, and the disk";

/** Whether the operating system or the browser refused to give a file, by the error of `FileSource.read`. */
export function isRefused(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { cause } = error;
  return cause instanceof DOMException || (cause instanceof Error && "syscall" in cause);
}
