/** Debian's PyTorch, for tests of what is exported for it. Where it has to be, `CI` is set, and a test without it fails. */
import { execFile, execFileSync, spawn } from "node:child_process";
import { promisify } from "node:util";

const candidates = [process.env["EVENKEEL_PYTHON"], "/usr/bin/python3", "python3"].filter((each) => each !== undefined);

/** A Python that has PyTorch and numpy; undefined if there is none. */
export const python = candidates.find((each) => {
  try {
    execFileSync(each, ["-c", "import numpy, torch"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
});

/** For `it`: why a test is passed over, if it is. */
export const skip =
  python === undefined && process.env["CI"] === undefined
    ? "no Python with PyTorch: apt-get install python3-torch, or name one by EVENKEEL_PYTHON"
    : false;

/** Small arrays are computed faster by one thread. */
const env = { ...process.env, OMP_NUM_THREADS: "1" };

/** @throws Error if there is none. */
export function requirePython(): string {
  if (python === undefined) throw new Error("no Python with PyTorch: apt-get install python3-torch");
  return python;
}

/** Runs Python in a folder. @throws Error with what it printed, if it fails. */
export async function runPython(folder: string, args: readonly string[]): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(requirePython(), args, { cwd: folder, env });
    return stdout;
  } catch (reason) {
    throw reason instanceof Error && "stderr" in reason ? new Error(String(reason.stderr), { cause: reason }) : reason;
  }
}

/** The same with a request to end (SIGTERM) once it has printed something. @throws Error with what it printed, if it fails. */
export function stopPython(folder: string, args: readonly string[], when: RegExp): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(requirePython(), args, { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] });
    let [printed, isAsked] = ["", false];
    child.stderr.on("data", (chunk: Buffer) => (printed += chunk.toString()));
    child.stdout.on("data", (chunk: Buffer) => {
      printed += chunk.toString();
      if (isAsked || !when.test(printed)) return;
      isAsked = true;
      child.kill("SIGTERM");
    });
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve();
      else reject(new Error(`ended with ${code}: ${printed}`));
    });
  });
}
