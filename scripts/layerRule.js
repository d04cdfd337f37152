/**
 * The layer rule: engine <- nn <- diffusion <- cli, web, engine <- onnx <- cli, engine <- testing <- cli, and engine <- torch <- cli. Layers are divided into rooms, and a room's `index.ts` (safe in a page) and `node.ts`
 * (which needs a disk) are its faces, for the other rooms of its layer, later layers and users alike. A file imports freely within its
 * own room; of other rooms of its layer, and of the layers before it, their faces only. What lies beside the rooms of a layer is for
 * all of them; `index.ts` and `node.ts` beside the rooms are the layer's own faces, for those outside it. `bench`, `examples` and
 * `test` are outside the layers and may import anything; nothing in a layer may import them. `web` runs in a page: but for what builds it, it
 * may import what is safe there. `testing` is about graphs, kernels and plans, and `torch` translates graphs, which are the engine's inside: of the engine they
 * may import any file; `onnx` writes graphs into files, and may import what says what they are. Rooms of some folders have an order of their own.
 */
import { readdirSync, readFileSync } from "node:fs";
import { posix, resolve, sep } from "node:path";

const root = resolve(import.meta.dirname, "..");

/** Each with those before it, which it may import from. */
const layersBefore = {
  engine: [],
  nn: ["engine"],
  testing: ["engine"],
  onnx: ["engine"],
  torch: ["engine"],
  diffusion: ["engine", "nn"],
  cli: ["engine", "nn", "diffusion", "testing", "onnx", "torch"],
  web: ["engine", "nn", "diffusion"],
};
const layers = Object.keys(layersBefore);

/** Layers that see the inside of others, and what of it. */
const seesInside = {
  testing: ["engine/"],
  torch: ["engine/"],
  onnx: ["engine/graph/", "engine/program/trace.ts", "engine/passes/runtimeChecks.ts"],
};

/** What users may import, from the root: the same is what later layers may. */
const entryPoints = (() => {
  const { exports } = JSON.parse(readFileSync(resolve(root, "package.json"), "utf8"));
  return Object.values(exports).flatMap(({ default: file }) =>
    file === undefined ? [] : file.replace(/^\.\/dist\//, "").replace(/\.js$/, ".ts"),
  );
})();

/** Folders of a layer that are entered by their faces only: those that are entry points, and those of `nn`, which only `nn` sees. */
const rooms = new Set([
  ...entryPoints.map((face) => posix.dirname(face)).filter((folder) => folder.includes("/")),
  ...readdirSync(resolve(root, "nn"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => `nn/${name}`),
]);

const layerOf = (path) => path.slice(0, path.indexOf("/"));

/** The faces that a file of a layer may import: those of the layers before, in a page only those that are safe there. */
function facesBefore(layer, importer) {
  const before = layersBefore[layer];
  const isInPage = layer === "web" && !importer.startsWith("web/build/");
  return entryPoints.filter((face) => before.includes(layerOf(face)) && !(isInPage && face.endsWith("/node.ts")));
}

/** The room of its layer that a file is in, or undefined beside the rooms. */
function roomOf(path) {
  const room = path.split("/", 2).join("/");
  return rooms.has(room) ? room : undefined;
}

const isFace = (path) => /^(index|node)\.ts$/.test(posix.basename(path));

/** @returns what is wrong with an import within a layer, or undefined */
function wrongWithin(importer, target) {
  const [from, to] = [roomOf(importer), roomOf(target)];
  if (from === to) return undefined;
  if (to === undefined) return isFace(target) && posix.dirname(target) === layerOf(target) ? "ownFace" : undefined;
  return isFace(target) && posix.dirname(target) === to ? undefined : "face";
}

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
      face: "{{importer}} may not import {{target}}: it is inside another room, whose index.ts or node.ts is to be asked.",
      ownFace:
        "{{importer}} may not import {{target}}, which is for those outside of the layer; import from its rooms.",
      room: "{{importer}} may not import {{target}}; of the rooms there it may import only: {{allowed}}.",
      ownName: "{{layer}} may not import {{target}} by the package's own name; use a relative path.",
    },
  },
  create(context) {
    const importer = context.filename.slice(context.cwd.length + 1).replaceAll(sep, "/");
    const layer = layerOf(importer);
    if (!layers.includes(layer)) return {};
    const allowed = facesBefore(layer, importer);

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
      if (layerOf(target) === layer) {
        const messageId = wrongWithin(importer, target);
        if (messageId !== undefined) context.report({ node: source, messageId, data: { importer, target } });
        return;
      }
      if (allowed.includes(target) || seesInside[layer]?.some((inside) => target.startsWith(inside))) return;
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
