import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ThreadChoice } from "../../../../engine/devices/wasm/program/threadChoice.ts";

/** What a run takes, shared and not. */
type Times = { readonly shared: number; readonly alone: number };

/** Runs with these times, each off by what `noise` says; gives how many of them were shared. */
function runs(choice: ThreadChoice, count: number, { shared, alone }: Times, noise: () => number): number {
  let sharedRuns = 0;
  for (let run = 0; run < count; run++) {
    const { isShared } = choice;
    if (isShared) sharedRuns++;
    choice.measured((isShared ? shared : alone) * noise());
  }
  return sharedRuns;
}

const exact = (): number => 1;
/** Two ways that differ by a fifth at least. */
const clearlyApart = fc
  .tuple(fc.double({ min: 0.01, max: 5, noNaN: true }), fc.double({ min: 1.25, max: 50, noNaN: true }), fc.boolean())
  .map(([quick, factor, isSharedQuick]) =>
    isSharedQuick ? { shared: quick, alone: quick * factor } : { shared: quick * factor, alone: quick },
  );

describe("which threads compute a short program", () => {
  test("all of them at first", () => assert.equal(new ThreadChoice().isShared, true));

  test("soon the quicker way, and the other one in few runs", () => {
    fc.assert(
      fc.property(clearlyApart, (times) => {
        const choice = new ThreadChoice();
        runs(choice, 200, times, exact);
        const shared = runs(choice, 2_000, times, exact);
        const slower = times.shared < times.alone ? 2_000 - shared : shared;
        assert.ok(slower <= 60, `${slower} of 2000 runs took the slower way`);
      }),
    );
  });

  test("also where one run in five takes ten times as long", () => {
    fc.assert(
      fc.property(clearlyApart, fc.infiniteStream(fc.nat({ max: 4 })), (times, delays) => {
        const choice = new ThreadChoice();
        const noise = (): number => (delays.next().value === 0 ? 10 : 1);
        runs(choice, 400, times, noise);
        const shared = runs(choice, 4_000, times, noise);
        const slower = times.shared < times.alone ? 4_000 - shared : shared;
        assert.ok(slower <= 1_200, `${slower} of 4000 runs took the slower way`);
      }),
    );
  });

  test("changes its mind when what is quicker changes", () => {
    fc.assert(
      fc.property(clearlyApart, clearlyApart, (before, after) => {
        const choice = new ThreadChoice();
        runs(choice, 500, before, exact);
        runs(choice, 1_000, after, exact);
        const shared = runs(choice, 1_000, after, exact);
        assert.ok((after.shared < after.alone ? 1_000 - shared : shared) <= 60);
      }),
    );
  });
});
