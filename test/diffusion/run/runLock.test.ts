import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { access, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { RunLock } from "../../../diffusion/run/runLock.ts";
import { EvenkeelError } from "../../../engine/index.ts";
import { bundledProgram } from "../../support/bundledProgram.ts";

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

test("another machine's lock counts as dead after ten minutes without a sign of life, and not before", async () => {
  const run = await folder();
  const path = join(run, "run.lock");
  const age = async (minutes: number): Promise<void> => {
    const time = new Date(Date.now() - 60_000 * minutes);
    await utimes(path, time, time);
  };
  await writeFile(path, `${process.pid} elsewhere.example 0123 another-start`);
  await age(9);
  await assert.rejects(RunLock.take(run), inUseBy(`${process.pid} of elsewhere.example`));
  await age(11);
  const lock = await RunLock.take(run);
  lock.release();
  assert.deepEqual(await readdir(run), []);
});

test("who has a lock gives a sign of life every minute", async (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const run = await folder();
  const path = join(run, "run.lock");
  const lock = await RunLock.take(run);
  const text = await readFile(path, "utf8");
  await utimes(path, new Date(0), new Date(0));
  t.mock.timers.tick(59_000);
  assert.equal((await stat(path)).mtimeMs, 0);
  t.mock.timers.tick(2_000);
  assert.ok((await stat(path)).mtimeMs > 0);
  assert.equal(await readFile(path, "utf8"), text);
  lock.release();
  t.mock.timers.tick(120_000);
  assert.deepEqual(await readdir(run), []);
});

test("locks of several names in one folder keep out of each other's way, and tell whose they are", async () => {
  const run = await folder();
  const [one, other] = [await RunLock.tryTake(run, "a.lock"), await RunLock.tryTake(run, "b.lock")];
  assert.ok(one instanceof RunLock && other instanceof RunLock);
  const taken = await RunLock.tryTake(run, "a.lock");
  assert.deepEqual(!(taken instanceof RunLock) && taken.owner, `process ${process.pid}`);
  one.release();
  other.release();
  assert.deepEqual(await readdir(run), []);
});

/** A process that takes a folder and lives until it is killed. */
async function holding(run: string): Promise<ChildProcess> {
  const program = await bundledProgram("test/support/holdLock.ts");
  const child = spawn(process.execPath, [program, run], { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
  return child;
}

const hasFlock = spawnSync("flock", ["--version"]).error === undefined;
const skip = hasFlock ? false : "this system has no flock";

test("under another machine name, as a container's, a lock ends with its process and not before", {
  skip,
}, async () => {
  const run = await folder();
  const path = join(run, "run.lock");
  const child = await holding(run);
  const [pid, , ...rest] = (await readFile(path, "utf8")).split(" ");
  // In place: the file that is locked stays the same. The id is that of a process which lives here, as ids of containers often are.
  for (const text of [
    [pid, "4fe1c0ffee00", ...rest],
    [process.pid, "4fe1c0ffee00", ...rest],
  ]) {
    await writeFile(path, text.join(" "), { flag: "r+" });
    await assert.rejects(RunLock.take(run), inUseBy(`${text[0] ?? ""} of 4fe1c0ffee00`));
  }
  child.kill("SIGSTOP");
  await assert.rejects(RunLock.take(run), /Stop it first\.$/, "a process that was stopped goes on one day");
  child.kill("SIGKILL");
  await once(child, "exit");
  const lock = await RunLock.take(run);
  await assert.rejects(RunLock.take(run), inUseBy(String(process.pid)));
  lock.release();
  assert.deepEqual(await readdir(run), []);
});

test("a lock of this machine's name from before it was started again is taken over, another machine's is not", {
  skip,
}, async () => {
  const run = await folder();
  const path = join(run, "run.lock");
  await writeFile(path, `${process.pid} ${hostname()} 0123 another-start`);
  (await RunLock.take(run)).release();
  await writeFile(path, `${process.pid} elsewhere.example 0123 another-start`);
  await assert.rejects(RunLock.take(run), /of elsewhere\.example\. Stop it first; if it no longer lives, remove /);
});

test("of processes that start at one instant on what a killed one left, one gets the folder", { skip }, async () => {
  const run = await folder();
  const dead = await holding(run);
  dead.kill("SIGKILL");
  await once(dead, "exit");
  const program = await bundledProgram("test/support/holdLock.ts");
  const answers = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const child = spawn(process.execPath, [program, run], { stdio: ["ignore", "pipe", "ignore"] });
      const [answer] = (await once(child.stdout, "data")) as [Buffer];
      return { child, answer: answer.toString() };
    }),
  );
  assert.equal(
    answers.filter(({ answer }) => answer === "taken\n").length,
    1,
    JSON.stringify(answers.map((each) => each.answer)),
  );
  for (const { child } of answers) child.kill("SIGKILL");
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
      reason instanceof EvenkeelError &&
      reason.code === "file" &&
      /absent: writing into it failed: there is no such file/.test(reason.message),
  );
});
