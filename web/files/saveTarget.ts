/** Where a file goes that the page makes. */

type SavePicker = (options: {
  readonly suggestedName: string;
  readonly types: readonly {
    readonly description: string;
    readonly accept: Readonly<Record<string, readonly string[]>>;
  }[];
}) => Promise<FileSystemFileHandle>;

/** A chosen file; null: the browser downloads it, as it has no way to choose one. */
export type SaveTarget = { readonly handle: FileSystemFileHandle | null };

/** Lets somebody choose where a zip goes, if the browser can; null if they choose not to. Call it from what a click does. */
export async function chooseZip(suggestedName: string): Promise<SaveTarget | null> {
  // The types of the browser don't know it, as not all have it.
  const picker = (globalThis as { readonly showSaveFilePicker?: SavePicker }).showSaveFilePicker;
  if (picker === undefined) return { handle: null };
  try {
    const types = [{ description: "Zip archive", accept: { "application/zip": [".zip"] } }];
    return { handle: await picker({ suggestedName, types }) };
  } catch (reason) {
    if (reason instanceof DOMException && reason.name === "AbortError") return null;
    // Not allowed here, e.g. in a frame: downloads are.
    return { handle: null };
  }
}
