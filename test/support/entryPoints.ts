import { readFileSync } from "node:fs";
import path from "node:path";

const manifest = JSON.parse(readFileSync(path.resolve(import.meta.dirname, "../../package.json"), "utf8")) as {
  readonly exports: Readonly<Record<string, string | { readonly types: string; readonly default: string }>>;
};

/** The package's entry points by the names under which they are imported: the source file that each is. */
export const entryPoints: ReadonlyMap<string, string> = new Map(
  Object.entries(manifest.exports).flatMap(([name, at]) => {
    if (typeof at === "string") return [];
    const source = /^\.\/dist\/(.*)\.js$/.exec(at.default)?.[1];
    if (source === undefined || at.types !== `./dist/${source}.d.ts`) throw new Error(`${name} is no built file`);
    return [[path.posix.join("evenkeel", name), `${source}.ts`] as const];
  }),
);
