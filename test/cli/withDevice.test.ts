import assert from "node:assert/strict";
import { it } from "node:test";
import { withDevice } from "../../cli/withDevice.ts";
import { type Device, EvenkeelError } from "../../engine/index.ts";

it("a command's device is disposed of when the command is done and when it fails", async () => {
  const used: Device[] = [];
  await withDevice("oracle", async (device) => void used.push(device));
  await assert.rejects(
    withDevice("oracle", async (device) => {
      used.push(device);
      throw new EvenkeelError("file", "the file isn't there");
    }),
    { code: "file" },
  );
  assert.deepEqual(
    used.map(({ name, usable }) => [name, usable]),
    [
      ["oracle", false],
      ["oracle", false],
    ],
  );
  assert.notEqual(used[0], used[1]);
  await assert.rejects(
    withDevice("abacus", async () => undefined),
    { code: "value" },
  );
});
