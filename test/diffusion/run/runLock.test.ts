import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { access, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { RunLock } from "../../../diffusion/run/runLock.ts";
import { EvenkeelError } from "../../../engine/index.ts";

let root = "";
before(async () => {
  root = await mkdtemp(join(tmpdir(), "evenkeel-lock-"));
});
after(() => rm(root, { recursive: true }));

const folder = (): Promise<string> => mkdtemp(join(root, "run-"));
const inUseBy = (who: string) => (reason: unknown) =>
  reason instanceof EvenkeelError && reason.code === "file" && reason.message.includes(`is in use by process ${who}`);

/** A process that only waits. */
function waiting(): ChildProcess {
  return spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" });
}

test("a taken folder is refused with the process's id, also within one process, and free after release", async () => {
  const run = await folder();
  const lock = await RunLock.take(run);
  await assert.rejects(RunLock.take(run), inUseBy(String(process.pid)));
  lock.release();
  lock.release();
  const next = await RunLock.take(run);
  lock.release();
  await assert.rejects(RunLock.take(run), inUseBy(String(process.pid)), "a released lock does not free a later one");
  next.release();
  assert.deepEqual(await readdir(run), []);
});

test("the lock of a live process is refused, that of a dead one taken over", async () => {
  const run = await folder();
  const path = join(run, "run.lock");
  const child = waiting();
  await once(child, "spawn");
  await writeFile(path, `${child.pid ?? 0} ${hostname()} 0123`);
  await assert.rejects(RunLock.take(run), inUseBy(String(child.pid)));
  child.kill("SIGKILL");
  await once(child, "exit");
  const lock = await RunLock.take(run);
  assert.match(await readFile(path, "utf8"), new RegExp(`^${process.pid} `));
  lock.release();
  await assert.rejects(access(path));
});

test("a lock of another machine is refused, whatever its process id", async () => {
  const run = await folder();
  await writeFile(join(run, "run.lock"), `${process.pid} elsewhere.example 0123`);
  await assert.rejects(RunLock.take(run), inUseBy(`${process.pid} of elsewhere.example`));
});

test("an empty lock, and one of an earlier process with our id, are taken over", async () => {
  const run = await folder();
  for (const text of ["", `${process.pid} ${hostname()} 0123`, `${process.pid} ${hostname()}`]) {
    await writeFile(join(run, "run.lock"), text);
    (await RunLock.take(run)).release();
  }
});

test("of many that find the same stale lock, one gets the folder", async () => {
  const dead = spawnSync(process.execPath, ["-e", ""]);
  for (let round = 0; round < 10; round++) {
    const run = await folder();
    await writeFile(join(run, "run.lock"), `${dead.pid} ${hostname()} 0123`);
    const taken = await Promise.allSettled(Array.from({ length: 8 }, () => RunLock.take(run)));
    const locks = taken.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
    assert.equal(locks.length, 1);
    locks[0]?.release();
    assert.deepEqual(await readdir(run), []);
  }
});

test("a folder that isn't there is an error that names it", async () => {
  await assert.rejects(
    RunLock.take(join(root, "absent")),
    (reason) =>
      reason instanceof EvenkeelError && reason.code === "file" && /can't write into .*absent/.test(reason.message),
  );
});
