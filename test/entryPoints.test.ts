/** The package's entry points: each room's faces and no others, safe in a page where they say so, and what is told about them. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { before, describe, it } from "node:test";
import { build } from "esbuild";
import ts from "typescript";
import { entryPoints } from "./support/entryPoints.ts";

const root = path.resolve(import.meta.dirname, "..");
const read = (file: string): string => readFileSync(path.join(root, file), "utf8");
const codeIn = (text: string): string[] => [...text.matchAll(/`([^`]+)`/g)].map(([, code = ""]) => code);
const filesOf = (folder: string, ending: string): string[] =>
  readdirSync(path.join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(ending))
    .map((file) => path.posix.join(folder, file));

describe("entry points", () => {
  it("are the faces of the layers and of all rooms of diffusion, and files, called as their folders", () => {
    const folders = readdirSync(path.join(root, "diffusion"), { withFileTypes: true }).filter((at) => at.isDirectory());
    const rooms = [
      "engine",
      "engine/io",
      "nn",
      "onnx",
      "torch",
      "testing",
      "diffusion",
      ...folders.map(({ name }) => `diffusion/${name}`),
    ];
    const faces = rooms.flatMap((room) => {
      const own = ["index.ts", "node.ts"]
        .map((face) => `${room}/${face}`)
        .filter((f) => existsSync(path.join(root, f)));
      assert.ok(own.length > 0, `${room} has no face`);
      return own;
    });
    const named = new Map([...entryPoints].filter(([name]) => name !== "evenkeel"));
    assert.deepEqual([...named.values()].sort(), faces.sort());
    for (const [name, face] of named) assert.equal(`evenkeel/${face.replace(/(\/index)?\.ts$/, "")}`, name);
    assert.equal(entryPoints.get("evenkeel"), "engine/index.ts");
  });

  it("that say so, and only those, are for Node", () => {
    for (const face of entryPoints.values()) {
      const [about = ""] = /^\/\*\*[^]*?\*\//.exec(read(face)) ?? [];
      const isForNode = path.basename(face) === "node.ts";
      assert.match(about, isForNode ? /only for Node\b/i : /safe in a page\b/i, face);
    }
  });

  it("keep the files that do something when they are loaded", () => {
    const { sideEffects } = JSON.parse(read("package.json")) as { readonly sideEffects: readonly string[] };
    const files = sideEffects.filter((file) => !file.includes("*"));
    assert.ok(files.length > 0);
    for (const file of files) {
      assert.ok(existsSync(path.join(root, file.replace("./dist/", "./").replace(/\.js$/, ".ts"))), file);
    }
  });
});

/** Packages that run in a page as they do in Node. */
const inPages = [
  "@noble/hashes/sha2.js",
  "@noble/hashes/utils.js",
  "fast-check",
  "fast-png",
  "fflate",
  "gpu.js",
  "jsonc-parser",
  "smol-toml",
  "zod",
];

/** What a face's files import outright from elsewhere, bundled as for a page. What they ask for on demand is asked for in Node only. */
async function importsOf(face: string): Promise<string[]> {
  const { metafile } = await build({
    entryPoints: [path.join(root, face)],
    bundle: true,
    write: false,
    metafile: true,
    format: "esm",
    target: "es2022",
    packages: "external",
    logLevel: "silent",
  });
  return Object.values(metafile.inputs).flatMap(({ imports }) =>
    imports.filter(({ kind, external }) => external && kind !== "dynamic-import").map(({ path }) => path),
  );
}

describe("in a page", () => {
  for (const face of new Set(entryPoints.values())) {
    if (path.basename(face) === "node.ts") continue;
    it(`${face} imports nothing of Node's, nor a package that needs it`, async () => {
      assert.deepEqual(
        (await importsOf(face)).filter((name) => !inPages.includes(name)),
        [],
      );
    });
  }

  it("what diffusion/data/node.ts imports would have been seen", async () => {
    const imports = await importsOf("diffusion/data/node.ts");
    for (const name of ["node:fs/promises", "fast-png"]) assert.ok(imports.includes(name), name);
  });
});

describe("what is told of entry points", () => {
  let exportsOf: (face: string) => readonly ts.Symbol[];
  let isValue: (symbol: ts.Symbol) => boolean;
  before(() => {
    const settings = ts.readConfigFile(path.join(root, "tsconfig.json"), (file) => ts.sys.readFile(file));
    const { options } = ts.parseJsonConfigFileContent(settings.config, ts.sys, root);
    const faces = [...entryPoints.values()].map((face) => path.join(root, face));
    const program = ts.createProgram(faces, options);
    const checker = program.getTypeChecker();
    exportsOf = (face) => {
      const file = program.getSourceFile(path.join(root, face));
      const module = file === undefined ? undefined : checker.getSymbolAtLocation(file);
      assert.ok(module !== undefined, face);
      return checker.getExportsOfModule(module);
    };
    isValue = (symbol) => {
      const own = (symbol.flags & ts.SymbolFlags.Alias) === 0 ? symbol : checker.getAliasedSymbol(symbol);
      return (own.flags & ts.SymbolFlags.Value) !== 0;
    };
  });

  const documents = ["README.md", "ARCHITECTURE.md", ...filesOf("docs", ".md")];
  const examples = filesOf("examples", ".ts");

  /** The rows of the README's table: entry points, where `/node` goes on from the one before, and the names in the second cell. */
  const table = [...read("README.md").matchAll(/^\| (`evenkeel[^|]*) \|(.*)\|$/gm)].map(
    ([, first = "", second = ""]) => {
      const [entry = "", ...more] = codeIn(first);
      return { entries: [entry, ...more.map((ending) => entry + ending)], names: codeIn(second) };
    },
  );

  /** Names that are said to be an entry point's: imported in code, or written as "`name`, `name`, ... of `evenkeel/room`". */
  const told = [
    ...[...documents, ...examples, ...filesOf("cli", ".ts")].flatMap((place) =>
      [...read(place).matchAll(/import (?:type )?\{([^}]*)\} from "(evenkeel[^"]*)"/g)].map(
        ([, names = "", entry = ""]) => ({
          place,
          entries: [entry],
          names: names.split(",").map((name) => name.trim().replace(/^type /, "")),
        }),
      ),
    ),
    ...documents.flatMap((place) =>
      [...read(place).matchAll(/((?:`[^`]+`[\s,.]*)+) of\s+`(evenkeel[^`]*)`/g)].map(([, names = "", entry = ""]) => ({
        place,
        entries: [entry],
        names: codeIn(names).map((name) => name.replace(/\(.*/, "")),
      })),
    ),
    ...table.map((row) => ({ place: "README.md", ...row, names: row.names.filter((name) => name !== "evenkeel") })),
  ];

  it("is true: they have those names", () => {
    const isTold = (place: string, name: string): boolean =>
      told.some((each) => each.place === place && each.names.includes(name));
    for (const [place, name] of [
      ["README.md", "compileStep"],
      ["README.md", "writePng"],
      ["docs/dynamics.md", "readDynamics"],
      ["cli/commands/explain.ts", "matmul"],
    ] as const) {
      assert.ok(isTold(place, name), name);
    }
    const wrong = told.flatMap(({ place, entries, names }) => {
      const known = entries.flatMap((entry) => {
        const face = entryPoints.get(entry);
        return face === undefined ? [] : exportsOf(face).map(({ name }) => name);
      });
      return names.filter((name) => name !== "" && !known.includes(name)).map((name) => ({ place, entries, name }));
    });
    assert.deepEqual(wrong, []);
  });

  it("is in the README's table for each of them", () => {
    const rows = table.flatMap(({ entries }) => entries);
    assert.deepEqual(rows.sort(), [...entryPoints.keys()].filter((name) => name !== "evenkeel").sort());
  });

  it("shows every name of the entry points to begin with", () => {
    const shown = new Set([...documents, ...examples].flatMap((file) => read(file).match(/\w+/g) ?? []));
    for (const face of ["diffusion/index.ts", "diffusion/node.ts"]) {
      const hidden = exportsOf(face).filter((symbol) => isValue(symbol) && !shown.has(symbol.name));
      assert.deepEqual(
        hidden.map(({ name }) => name),
        [],
      );
    }
  });
});
