/**
 * What an editor shows of the public faces: every export and every public member of a class has its documentation, and functions have an
 * example, which is compiled and run.
 */
import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { before, test } from "node:test";
import ts from "typescript";
import { entryPoints } from "./support/entryPoints.ts";
import { rooms } from "./support/rooms.ts";
import { runTextProgram, type TextProgram } from "./support/textPrograms.ts";

const root = resolve(import.meta.dirname, "..");
const faces = [...new Set(entryPoints.values())];

let program: ts.Program;
let checker: ts.TypeChecker;
let options: ts.CompilerOptions;
before(() => {
  const read = ts.readConfigFile(resolve(root, "tsconfig.json"), (path) => ts.sys.readFile(path));
  ({ options } = ts.parseJsonConfigFileContent(read.config, ts.sys, root));
  program = ts.createProgram(
    faces.map((face) => resolve(root, face)),
    options,
  );
  checker = program.getTypeChecker();
});

/** Has it words of its own, or at least what it throws? */
const isDocumented = (symbol: ts.Symbol): boolean =>
  symbol.getDocumentationComment(checker).length > 0 || symbol.getJsDocTags(checker).length > 0;

/** Declared in a file of ours, for everybody: neither `#name` nor `private`, nor what every function has. */
function isPublic(symbol: ts.Symbol): boolean {
  const [declaration] = symbol.declarations ?? [];
  if (declaration === undefined || declaration.getSourceFile().fileName.includes("node_modules")) return false;
  const name = ts.getNameOfDeclaration(declaration);
  if (name !== undefined && ts.isPrivateIdentifier(name)) return false;
  return (ts.getCombinedModifierFlags(declaration) & ts.ModifierFlags.Private) === 0 && symbol.name !== "prototype";
}

/** Members of a class or an interface, its static ones too. */
function membersOf(symbol: ts.Symbol): ts.Symbol[] {
  const [declaration] = symbol.declarations ?? [];
  if (declaration === undefined) return [];
  if (ts.isInterfaceDeclaration(declaration))
    return checker.getPropertiesOfType(checker.getDeclaredTypeOfSymbol(symbol));
  if (!ts.isClassDeclaration(declaration)) return [];
  return [checker.getDeclaredTypeOfSymbol(symbol), checker.getTypeOfSymbol(symbol)].flatMap((type) =>
    checker.getPropertiesOfType(type),
  );
}

function exportsOf(face: string): ts.Symbol[] {
  const file = program.getSourceFile(resolve(root, face));
  const exported = file === undefined ? undefined : checker.getSymbolAtLocation(file);
  assert.ok(exported !== undefined, face);
  return checker.getExportsOfModule(exported);
}

function undocumented(face: string): { readonly missing: readonly string[]; readonly looked: readonly string[] } {
  const [missing, looked]: [string[], string[]] = [[], []];
  for (const symbol of exportsOf(face)) {
    const own = (symbol.flags & ts.SymbolFlags.Alias) === 0 ? symbol : checker.getAliasedSymbol(symbol);
    const members = membersOf(own).filter(isPublic);
    for (const [name, each] of [
      [symbol.name, own] as const,
      ...members.map((member) => [`${symbol.name}.${member.name}`, member] as const),
    ]) {
      looked.push(name);
      if (!isDocumented(each)) missing.push(name);
    }
  }
  return { missing, looked };
}

for (const face of faces) {
  test(`${face}: every export and every public member is documented`, () => {
    const { missing, looked } = undocumented(face);
    assert.deepEqual(missing, []);
    // Methods that are merged into the class are members like others.
    if (face === "engine/index.ts")
      for (const name of ["Tensor.add", "Tensor.softmax", "Tensor.shape"]) assert.ok(looked.includes(name));
  });
}

type PublicFunction = {
  /** The first entry point that has it, and its name: `evenkeel/engine: add`. */
  readonly id: string;
  readonly entry: string;
  readonly examples: readonly string[];
};

/** All functions that entry points export. */
function publicFunctions(): PublicFunction[] {
  const found = new Map<ts.Symbol, PublicFunction>();
  for (const [entry, face] of entryPoints) {
    if (entry === "evenkeel") continue;
    for (const symbol of exportsOf(face)) {
      const own = (symbol.flags & ts.SymbolFlags.Alias) === 0 ? symbol : checker.getAliasedSymbol(symbol);
      const declaration = own.valueDeclaration;
      if (declaration === undefined || !isPublic(own)) continue;
      const type = checker.getTypeOfSymbolAtLocation(own, declaration);
      if (type.getCallSignatures().length === 0) continue;
      const texts = own
        .getJsDocTags(checker)
        .filter(({ name }) => name === "example")
        .map(({ text }) => ts.displayPartsToString(text));
      if (!found.has(own)) found.set(own, { id: `${entry}: ${symbol.name}`, entry, examples: texts });
    }
  }
  return [...found.values()];
}

/** An example as a program that imports the names of the function's entry point that it uses, and others by itself. */
function programOf({ id, entry, examples }: PublicFunction, index: number): TextProgram {
  const text = examples[index] ?? "";
  // A line, or a block.
  const [, line, block] = /^(?:(\S.*)|```ts\n([^]*?)\n```)\s*$/.exec(text) ?? [];
  const code = block ?? line;
  assert.ok(code !== undefined && !code.includes("```"), `${id}: an example is a line or a block of ts, not: ${text}`);
  const face = entryPoints.get(entry) ?? "";
  const used = new Set(code.match(/\b[A-Za-z]\w*\b/g));
  const imported = new Set(
    [...code.matchAll(/^import \{([^}]*)\}/gm)].flatMap(([, names = ""]) => names.match(/\w+/g) ?? []),
  );
  const names = exportsOf(face).filter(({ name }) => used.has(name) && !imported.has(name));
  const list = names.map((symbol) => {
    const own = (symbol.flags & ts.SymbolFlags.Alias) === 0 ? symbol : checker.getAliasedSymbol(symbol);
    return (own.flags & ts.SymbolFlags.Value) === 0 ? `type ${symbol.name}` : symbol.name;
  });
  return { place: `${id}, example ${index + 1}`, code: `import { ${list.join(", ")} } from "${entry}";\n${code}` };
}

/** What the compiler says of programs, each as a module of its own. */
function compilerErrors(programs: readonly TextProgram[]): string[] {
  const paths = Object.fromEntries([...entryPoints].map(([entry, face]) => [entry, [resolve(root, face)]]));
  const files = new Map(programs.map(({ code }, i) => [resolve(root, `example${i}.ts`), `${code}\nexport {};\n`]));
  const host = ts.createCompilerHost(options);
  const [getSourceFile, fileExists] = [host.getSourceFile.bind(host), host.fileExists.bind(host)];
  host.fileExists = (path) => files.has(path) || fileExists(path);
  host.getSourceFile = (path, ...rest) => {
    const text = files.get(path);
    return text === undefined
      ? (program.getSourceFile(path) ?? getSourceFile(path, ...rest))
      : ts.createSourceFile(path, text, {
          languageVersion: ts.ScriptTarget.ES2022,
          impliedNodeFormat: ts.ModuleKind.ESNext,
        });
  };
  const checked = ts.createProgram([...files.keys()], { ...options, paths, noUnusedLocals: false }, host, program);
  return [...files.keys()].flatMap((path, i) => {
    const file = checked.getSourceFile(path);
    const found = [...checked.getSyntacticDiagnostics(file), ...checked.getSemanticDiagnostics(file)];
    return found.map(
      ({ messageText }) => `${programs[i]?.place ?? ""}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`,
    );
  });
}

/** A network of the authors' program, which examples that name it find in their folder. */
const pickle = "network-snapshot-0008388-0.100.pkl";

/** Runs a program in a folder of its own, where the files are that it writes. */
async function runInFolder(each: TextProgram): Promise<void> {
  const [start, folder] = [process.cwd(), mkdtempSync(join(tmpdir(), "evenkeel-example-"))];
  if (each.code.includes(pickle)) copyFileSync(resolve(root, "test/reference", pickle), join(folder, pickle));
  process.chdir(folder);
  try {
    await runTextProgram(each, rooms);
  } finally {
    process.chdir(start);
    rmSync(folder, { recursive: true });
  }
}

test("examples can import every entry point", () => {
  for (const entry of entryPoints.keys()) assert.ok(entry === "evenkeel" || entry in rooms, entry);
});

test("public functions have examples, which compile and print what they say", async () => {
  const functions = publicFunctions();
  assert.ok(functions.length > 300, `${functions.length} functions`);
  const without = functions.filter(({ examples }) => examples.length === 0).map(({ id }) => id);
  assert.deepEqual(without, [], "a public function comes with an example");
  const programs = functions.flatMap((each) => each.examples.map((_, i) => programOf(each, i)));
  assert.deepEqual(compilerErrors(programs), []);
  const wrong: string[] = [];
  for (const each of programs) await runInFolder(each).catch((error: unknown) => wrong.push(String(error)));
  assert.deepEqual(wrong, []);
});
