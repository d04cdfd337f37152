/** What an editor shows of the public faces: every export and every public member of a class has its documentation. */
import assert from "node:assert/strict";
import { resolve } from "node:path";
import { before, test } from "node:test";
import ts from "typescript";
import { entryPoints } from "./support/entryPoints.ts";

const root = resolve(import.meta.dirname, "..");
const faces = [...new Set(entryPoints.values())];

let program: ts.Program;
let checker: ts.TypeChecker;
before(() => {
  const read = ts.readConfigFile(resolve(root, "tsconfig.json"), (path) => ts.sys.readFile(path));
  const { options } = ts.parseJsonConfigFileContent(read.config, ts.sys, root);
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

function undocumented(face: string): { readonly missing: readonly string[]; readonly looked: readonly string[] } {
  const file = program.getSourceFile(resolve(root, face));
  const exported = file === undefined ? undefined : checker.getSymbolAtLocation(file);
  assert.ok(exported !== undefined, face);
  const [missing, looked]: [string[], string[]] = [[], []];
  for (const symbol of checker.getExportsOfModule(exported)) {
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
