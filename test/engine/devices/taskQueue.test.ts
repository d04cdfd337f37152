import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { messageOf } from "../../../engine/index.ts";
import { TaskQueue } from "../../../engine/devices/taskQueue.ts";

type Task = { readonly kind: "now" | "later" | "throws" | "rejects"; readonly asked: number };

const tasks: fc.Arbitrary<readonly Task[]> = fc.array(
  fc.record({ kind: fc.constantFrom("now", "later", "throws", "rejects"), asked: fc.nat(3) }),
  { maxLength: 12 },
);

test("tasks run one after the other in the order in which they were asked for, whatever becomes of those before", async () => {
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), tasks, async (scheduler, list) => {
      const queue = new TaskQueue();
      const asked: number[] = [];
      const begun: number[] = [];
      let running = 0;
      const run = (kind: Task["kind"], number: number): number | Promise<number> => {
        begun.push(number);
        assert.equal(running, 0, "two at once");
        if (kind === "now") return number;
        if (kind === "throws") throw new Error(String(number));
        running++;
        return scheduler.schedule(Promise.resolve(), "task").then(() => {
          running--;
          if (kind === "rejects") throw new Error(String(number));
          return number;
        });
      };
      const outcomes = Promise.all(
        list.map(async ({ kind, asked: pauses }, number) => {
          for (let i = 0; i < pauses; i++) await scheduler.schedule(Promise.resolve(), "ask");
          asked.push(number);
          const outcome = await queue
            .run(() => run(kind, number))
            .then(String, (error: unknown) => `no ${messageOf(error)}`);
          assert.equal(outcome, kind === "now" || kind === "later" ? String(number) : `no ${number}`);
        }),
      );
      await scheduler.waitFor(outcomes);
      assert.deepEqual(begun, asked);
      // Nothing is left behind: what tidies up does so at once, but after a task, also one that has just been asked for.
      const order: string[] = [];
      queue.tidy(() => order.push("at once"));
      const task = queue.run(async () => {
        order.push("task");
        queue.tidy(() => order.push("after it"));
        await Promise.resolve();
        order.push("end");
      });
      queue.tidy(() => order.push("after it, too"));
      await task;
      await queue.run(() => undefined);
      assert.deepEqual(order, ["at once", "task", "end", "after it, too", "after it"]);
    }),
    { numRuns: 200 },
  );
});
