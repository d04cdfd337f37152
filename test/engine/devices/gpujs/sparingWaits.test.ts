/** Waiting with pauses: few turns of the event loop in a long wait, none longer than the loop may be kept, and nothing left over. */
import assert from "node:assert/strict";
import { afterEach, describe, it, mock } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { sparingWaits } from "../../../../engine/devices/gpujs/sparingWaits.ts";

/** Turns of the event loop until `work` is over, but for those within its first milliseconds. */
async function turnsDuring(work: Promise<unknown>, first: number): Promise<number> {
  const start = performance.now();
  const loop = { turns: 0, isOver: false };
  const turn = (): void => {
    if (performance.now() - start > first) loop.turns++;
    if (!loop.isOver) setImmediate(turn);
  };
  setImmediate(turn);
  await work.finally(() => (loop.isOver = true));
  return loop.turns;
}

/** Milliseconds of each pause from now on. */
function pauses(): readonly number[] {
  const made: number[] = [];
  const wait = Atomics.wait.bind(Atomics) as (
    array: Int32Array,
    index: number,
    value: number,
    timeout: number,
  ) => string;
  mock.method(Atomics, "wait", (array: Int32Array, index: number, value: number, timeout: number) => {
    made.push(timeout);
    return wait(array, index, value, timeout);
  });
  return made;
}

describe("waiting with pauses", () => {
  afterEach(() => mock.restoreAll());

  it("makes few turns of a long wait, and none long", async () => {
    const made = pauses();
    const turns = await turnsDuring(sparingWaits()(sleep(150)), 20);
    // From 20 ms on a pause takes 2.5 ms at least.
    assert.ok(turns <= 150 / 2.5, `${turns} turns`);
    assert.ok(made.length > 5, `${made.length} pauses`);
    assert.ok(
      made.every((pause) => pause > 0 && pause <= 5),
      `pauses of ${made.join(", ")} ms`,
    );
  });

  it("pauses for the wait that began first, and no more once all are over", async () => {
    const waiting = sparingWaits();
    const made = pauses();
    const [long, short] = [sleep(60), sleep(20)];
    await Promise.all([waiting(long), waiting(short)]);
    assert.ok(Math.max(...made) > 4, `pauses of ${made.join(", ")} ms`);
    await sleep(2);
    const before = made.length;
    await turnsDuring(sleep(20), 0);
    assert.equal(made.length, before, "a turn without a wait has paused");
  });

  it("takes no pause for what is over soon", async () => {
    const waiting = sparingWaits();
    const made = pauses();
    for (let i = 0; i < 50; i++) await waiting(new Promise((done) => void setImmediate(done)));
    // On a machine that does other work a turn may have taken long.
    assert.ok(made.length <= 2, `pauses of ${made.join(", ")} ms`);
  });

  it("pauses once a turn, however many waits there were before", async () => {
    const waiting = sparingWaits();
    for (let i = 0; i < 50; i++) await waiting(Promise.resolve());
    const made = pauses();
    const turns = await turnsDuring(waiting(sleep(100)), 0);
    assert.ok(made.length > 5 && made.length <= turns + 1, `${made.length} pauses in ${turns} turns`);
  });

  it("gives what is waited for, or its failure", async () => {
    const waiting = sparingWaits();
    assert.equal(await waiting(Promise.resolve(7)), 7);
    const failure = new Error("no");
    await assert.rejects(waiting(Promise.reject(failure)), (error) => error === failure);
  });
});
