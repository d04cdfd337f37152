/** Runs as the browser keeps them for the page. */
import type { Lab } from "./openLab.ts";

/** A run's files by name. */
export type RunFiles = ReadonlyMap<string, Uint8Array>;

/** All files of a run. */
export async function storedRun({ page }: Lab, run: string): Promise<RunFiles> {
  const texts = await page.evaluate(async (name) => {
    const root = await navigator.storage.getDirectory();
    const folder = await (await root.getDirectoryHandle("runs")).getDirectoryHandle(name);
    const found: [string, string][] = [];
    for await (const [file, handle] of folder.entries()) {
      if (handle.kind !== "file") continue;
      const blob = await (handle as FileSystemFileHandle).getFile();
      const url = await new Promise<string>((done) => {
        const reader = new FileReader();
        reader.onload = () => done(reader.result as string);
        reader.readAsDataURL(blob);
      });
      found.push([file, url.slice(url.indexOf(",") + 1)]);
    }
    return found;
  }, run);
  return new Map(texts.map(([name, text]) => [name, Buffer.from(text, "base64")]));
}
