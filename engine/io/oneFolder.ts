/** The files of an archive, or of a folder dropped on a page, as those of one folder. */
export type OneFolder<T> = {
  /** By name. */
  readonly files: ReadonlyMap<string, T>;
  /** Paths of what lies deeper, in folders beside each other, or is a folder itself. */
  readonly nested: readonly string[];
  /** Paths of what systems leave behind. */
  readonly litter: readonly string[];
};

/**
 * Takes the files that lie outermost, or, if they all lie in one folder, those of that folder.
 * @throws Error if two have the same name.
 * @example console.log([...oneFolder([["a/x", 1], ["a/y", 2]]).files.keys()]); // [ 'x', 'y' ]
 */
export function oneFolder<T>(entries: Iterable<readonly [path: string, T]>): OneFolder<T> {
  const [kept, nested, litter]: [{ parts: string[]; path: string; entry: T }[], string[], string[]] = [[], [], []];
  for (const [path, entry] of entries) {
    const parts = path.split(/[\\/]/).filter((part) => part !== "" && part !== ".");
    if (parts.some((part) => part.startsWith(".") || part === "__MACOSX")) litter.push(path);
    else if (!/[\\/]$/.test(path)) kept.push({ parts, path, entry });
  }
  const tops = new Set(kept.map(({ parts }) => (parts.length === 1 ? "" : (parts[0] ?? ""))));
  const depth = tops.size === 1 && !tops.has("") ? 2 : 1;
  const files = new Map<string, T>();
  for (const { parts, path, entry } of kept) {
    const name = parts.at(-1) ?? "";
    if (parts.length !== depth) nested.push(path);
    else if (files.has(name)) throw new Error(`holds ${path} twice`);
    else files.set(name, entry);
  }
  return { files, nested, litter };
}
