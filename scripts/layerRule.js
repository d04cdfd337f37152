/**
 * The layer rule: engine <- nn <- diffusion <- cli. A file of a layer imports freely within its own layer, and of the
 * layers before it only their public faces. `bench`, `examples` and `test` are outside the layers and may import
 * anything; nothing in a layer may import them.
 */
import { posix, sep } from "node:path";

/** For each layer the files of earlier layers that it may import, as paths from the root. */
const allowedImports = {
  engine: [],
  nn: ["engine/index.ts"],
  diffusion: ["engine/index.ts", "engine/io/node.ts", "nn/index.ts"],
  cli: ["engine/index.ts", "engine/io/node.ts", "nn/index.ts", "diffusion/index.ts", "diffusion/node.ts"],
};

/** The package's own name would lead to the same files past the rule. */
const ownName = /^evenkeel(?:\/|$)/;

/** @returns the imported path from the root, or undefined for a package or built-in module. */
function resolveImport(importer, specifier) {
  if (!specifier.startsWith(".")) return undefined;
  return posix.join(posix.dirname(importer), specifier);
}

/** @type {import("eslint").Rule.RuleModule} */
export const layerRule = {
  meta: {
    type: "problem",
    schema: [],
    docs: { description: "Layers import only the public faces of the layers before them." },
    messages: {
      layer: "{{layer}} may not import {{target}}; of other folders it may import only: {{allowed}}.",
      ownName: "{{layer}} may not import {{target}} by the package's own name; use a relative path.",
    },
  },
  create(context) {
    const importer = context.filename.slice(context.cwd.length + 1).replaceAll(sep, "/");
    const layer = importer.slice(0, importer.indexOf("/"));
    if (!Object.hasOwn(allowedImports, layer)) return {};
    const allowed = allowedImports[layer];

    function check(source) {
      if (source?.type !== "Literal" || typeof source.value !== "string") return;
      if (ownName.test(source.value)) {
        context.report({ node: source, messageId: "ownName", data: { layer, target: source.value } });
        return;
      }
      const target = resolveImport(importer, source.value);
      if (target === undefined || target.startsWith(`${layer}/`) || allowed.includes(target)) return;
      const list = allowed.length === 0 ? "nothing" : allowed.join(", ");
      context.report({ node: source, messageId: "layer", data: { layer, target, allowed: list } });
    }

    return {
      ImportDeclaration: (node) => check(node.source),
      ImportExpression: (node) => check(node.source),
      ExportAllDeclaration: (node) => check(node.source),
      ExportNamedDeclaration: (node) => check(node.source),
      TSImportType: (node) => check(node.source),
      /** Files named for a worker or to be read: `new URL("./x.ts", import.meta.url)`. */
      "NewExpression[callee.name='URL'][arguments.1.type='MemberExpression']": (node) => check(node.arguments[0]),
    };
  },
};
