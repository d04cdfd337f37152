import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";

/** Rooms of a folder, and the rooms beside them that their files import from. */
function importsWithin(folder: string): Map<string, Set<string>> {
  const rooms = new Map<string, Set<string>>();
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !/\.tsx?$/.test(entry.name)) continue;
    const file = path.join(entry.parentPath, entry.name);
    const room = roomOf(folder, file);
    if (room === null) continue;
    const found = rooms.get(room) ?? new Set();
    rooms.set(room, found);
    for (const [, target = ""] of readFileSync(file, "utf8").matchAll(/(?:from|import\() ?"(\.[^"]+)"/g)) {
      const other = roomOf(folder, path.join(path.dirname(file), target));
      if (other !== null && other !== room) found.add(other);
    }
  }
  return rooms;
}

/** The folder of `folder` in which a file lies; null for one in `folder` itself or outside. */
function roomOf(folder: string, file: string): string | null {
  const [room = "", ...inside] = path.relative(folder, file).split(path.sep);
  return room === ".." || inside.length === 0 ? null : room;
}

/** The drawing's arrows, by the names on their left. */
function drawn(): Map<string, Set<string>> {
  const text = readFileSync("ARCHITECTURE.md", "utf8");
  const block = /as a test finds it[^`]*```\n([^`]*)```/.exec(text)?.[1];
  assert.ok(block !== undefined, "ARCHITECTURE.md has no drawing of what imports what");
  const arrows = [...block.matchAll(/(\S+) *->((?: ?[a-z]+,?)*)/g)];
  return new Map(
    arrows.map(([, from = "", to = ""]) => [from, new Set(to.split(/[ ,]+/).filter((name) => name !== ""))]),
  );
}

test("what imports what is as ARCHITECTURE.md draws it", () => {
  const layers = importsWithin(".");
  const wanted = drawn();
  const found = new Map<string, Set<string>>();
  for (const layer of ["cli", "web", "testing", "onnx", "torch", "diffusion", "nn"])
    found.set(layer, layers.get(layer) ?? new Set());
  for (const [room, others] of importsWithin("engine")) found.set(room, others);
  for (const [room, others] of importsWithin("engine/devices/wasm")) found.set(`wasm/${room}`, others);
  const sorted = (rooms: Map<string, Set<string>>): unknown =>
    Object.fromEntries([...rooms].sort().map(([room, others]) => [room, [...others].sort()]));
  assert.deepEqual(sorted(wanted), sorted(found));
});
