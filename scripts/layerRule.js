/**
 * The layer rule: engine <- nn <- diffusion <- cli. A file of a layer imports freely within its own layer, and of the
 * layers before it only their public faces. `bench`, `examples` and `test` are outside the layers and may import
 * anything; nothing in a layer may import them. Rooms of a folder have an order of their own.
 */
import { posix, sep } from "node:path";

/** For each layer the files of earlier layers that it may import, as paths from the root. */
const allowedImports = {
  engine: [],
  nn: ["engine/index.ts"],
  diffusion: ["engine/index.ts", "engine/io/node.ts", "nn/index.ts"],
  cli: ["engine/index.ts", "engine/io/node.ts", "nn/index.ts", "diffusion/index.ts", "diffusion/node.ts"],
};

/** Within a folder of rooms: for each room those whose `index.ts` it may import. Files beside the rooms import any room's. */
const roomsOf = {
  "engine/devices/wasm": {
    assembler: [],
    math: ["assembler"],
    loops: ["assembler", "math"],
    algorithms: ["assembler", "math", "loops"],
    runtime: ["assembler"],
    program: ["assembler", "math", "loops", "algorithms", "runtime"],
  },
};

/** The folder of rooms that a file is in, and its room, which is undefined beside the rooms. */
function placeOf(path) {
  for (const [folder, rooms] of Object.entries(roomsOf)) {
    if (!path.startsWith(`${folder}/`)) continue;
    const [room] = path.slice(folder.length + 1).split("/");
    return { folder, rooms, room: Object.hasOwn(rooms, room) ? room : undefined };
  }
  return undefined;
}

/** @returns the files that an import from one place of a folder of rooms to another may name, or undefined if it names one of them */
function doorsMissed(importer, target) {
  const [from, to] = [placeOf(importer), placeOf(target)];
  const isWithin = from?.folder === to?.folder && from?.room === to?.room;
  // Beside the rooms is what outsiders see.
  if (to === undefined || isWithin || (to.room === undefined && from?.folder !== to.folder)) return undefined;
  const allowed =
    from?.folder !== to.folder ? [] : from.room === undefined ? Object.keys(to.rooms) : to.rooms[from.room];
  const doors = allowed.map((room) => `${to.folder}/${room}/index.ts`);
  return doors.includes(target) ? undefined : doors;
}

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
      room: "{{importer}} may not import {{target}}; of the rooms there it may import only: {{allowed}}.",
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
      if (target === undefined) return;
      const doors = doorsMissed(importer, target);
      if (doors !== undefined) {
        const list = doors.length === 0 ? "nothing" : doors.join(", ");
        context.report({ node: source, messageId: "room", data: { importer, target, allowed: list } });
      }
      if (target.startsWith(`${layer}/`) || allowed.includes(target)) return;
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
