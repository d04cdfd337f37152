/** What timing found on an adapter, as JSON that callers may keep. */
import { EvenkeelError } from "../../errors.ts";
import type { TuningTable } from "./webgpuOptions.ts";
import { schedulesVersion, nameOfTile, tilesByName, type Tile, type TunedTiles } from "./wgsl/product/index.ts";

export function tuningTableOf(adapter: string, tuned: TunedTiles): TuningTable {
  const tiles = Object.fromEntries([...tuned].map(([key, tile]) => [key, nameOfTile(tile)]));
  return { adapter, schedules: schedulesVersion, tiles };
}

/**
 * The tiles of a table; none, and why in a line, if it is of another adapter or of other schedules.
 * @param table as a caller gives it
 * @throws EvenkeelError `value` for what is no table
 */
export function tunedTilesOf(
  table: unknown,
  adapter: string,
): { readonly tiles: Map<string, Tile>; readonly ignored: string | null } {
  const { adapter: other, schedules, tiles } = fieldsOf(table, "tuning", "an object with adapter, schedules and tiles");
  if (typeof other !== "string") throw malformed("tuning.adapter", other, "the name of an adapter");
  if (!Number.isInteger(schedules)) throw malformed("tuning.schedules", schedules, "a whole number");
  const named = Object.entries(fieldsOf(tiles, "tuning.tiles", "an object of names of tiles"));
  for (const [key, name] of named) {
    if (typeof name !== "string") throw malformed(`tuning.tiles[${JSON.stringify(key)}]`, name, "the name of a tile");
  }
  const none = (reason: string): ReturnType<typeof tunedTilesOf> => ({
    tiles: new Map(),
    ignored: `webgpu: the tuning table is ignored: ${reason}.`,
  });
  if (other !== adapter) return none(`it is of "${other}", this is "${adapter}"`);
  if (schedules !== schedulesVersion)
    return none(`it is of version ${String(schedules)} of the schedules, this is ${schedulesVersion}`);
  const found = named.map(([key, name]): [string, Tile] => {
    const tile = typeof name === "string" ? tilesByName.get(name) : undefined;
    if (tile !== undefined) return [key, tile];
    const expected = [...tilesByName.keys()].map((each) => `"${each}"`).join(", ");
    throw malformed(`tuning.tiles[${JSON.stringify(key)}]`, name, `one of ${expected}`);
  });
  return { tiles: new Map(found), ignored: null };
}

function fieldsOf(value: unknown, where: string, expected: string): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw malformed(where, value, expected);
  return value as Readonly<Record<string, unknown>>;
}

const malformed = (where: string, found: unknown, expected: string): EvenkeelError =>
  new EvenkeelError(
    "value",
    `webgpu: ${where} is ${found === undefined ? "undefined" : JSON.stringify(found)}. Expected ${expected}.`,
  );
