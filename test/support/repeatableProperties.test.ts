import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import "./repeatableProperties.ts";

/** The message of a property that must fail. */
async function messageOf(run: () => void | Promise<void>): Promise<string> {
  try {
    await run();
  } catch (error) {
    assert.ok(error instanceof Error);
    return error.message;
  }
  throw new Error("the property held");
}

const tooLarge = (x: number): void => {
  if (x > 1000) throw new Error(`${x} is too large`);
};

it("end failures of properties with the command that repeats them", async () => {
  const { seed } = fc.readConfigureGlobal();
  assert.equal(seed, Number(process.env["EVENKEEL_SEED"] ?? 20240612), "a seed of its own, not one a run");
  const command = `Repeat it with: EVENKEEL_SEED=${seed} npm test -- test/support/repeatableProperties.test.ts`;
  const messages = [
    await messageOf(() => fc.assert(fc.property(fc.integer(), tooLarge))),
    await messageOf(() =>
      fc.assert(
        fc.asyncProperty(fc.integer(), async (x) => tooLarge(await Promise.resolve(x))),
        { numRuns: 500 },
      ),
    ),
  ];
  for (const message of messages) {
    assert.match(message, /Counterexample: \[1001\]/);
    assert.ok(message.includes(`seed: ${seed}, path: "`) && message.includes("1001 is too large"), message);
    assert.ok(message.endsWith(command), message);
  }
  const repeated = await messageOf(() => fc.assert(fc.property(fc.integer(), tooLarge)));
  const casesOf = (message: string | undefined): string | undefined => message?.split("Got error")[0];
  assert.equal(casesOf(repeated), casesOf(messages[0]), "the same cases again");
  const empty = await messageOf(() => fc.assert(fc.property(fc.integer(), () => fc.pre(false))));
  assert.ok(empty.includes("pre-condition") && empty.endsWith(command), empty);
  const own = await messageOf(() => fc.assert(fc.property(fc.integer(), tooLarge), { seed: 5 }));
  assert.match(own, /EVENKEEL_SEED=5 npm test/);
});
