import { type Draw, seededDraw } from "../engine/io/mutateFile.ts";
import { byteMutations, pick } from "./mutate.ts";
import type { Target } from "./target.ts";

/** Files that have grown longer aren't changed further. */
const longest = 2 ** 16;

/** The `number`-th changed file of a reader: the same for the same seed. */
export function caseOf(target: Target, samples: readonly Uint8Array[], seed: number, number: number): Uint8Array {
  const draw = drawOf(seed, target.name, number);
  let file = pick(samples, draw);
  const mutations = target.mutations.length === 0 || draw(3) === 0 ? byteMutations : target.mutations;
  // Most have one fault; a few none.
  for (let n = pick([0, 1, 1, 1, 1, 1, 2, 2, 3, 5], draw); n > 0 && file.length <= longest; n--) {
    file = pick(mutations, draw)(file, draw, pick(samples, draw));
  }
  return file;
}

function drawOf(seed: number, name: string, number: number): Draw {
  let hash = seed | 0;
  for (const character of `${name} ${number}`) hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  const draw = seededDraw(hash ^ (hash >>> 12));
  for (let i = 0; i < 8; i++) draw(2);
  return draw;
}
