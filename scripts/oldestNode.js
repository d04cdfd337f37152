/**
 * Starts the oldest versions of Node that package.json names (npm brings them) and takes the way of a new user with each: pictures to a data
 * set, a run with its pictures and its report. A Node without something that the program needs fails here.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const command = join(root, "cli", "evenkeel.js");

/** Runs a program and gives what it printed. */
function output(program, ...args) {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: "utf8", maxBuffer: 2 ** 26 });
  if (status === 0) return stdout;
  console.error(`${program} ${args.join(" ")} ended with ${status}:\n${stdout}${stderr}`);
  process.exit(1);
}

/** Where npm has put a version of Node. */
function pathOf(version) {
  const name = `node-${process.platform}-${process.arch}@${version}`;
  return output("npm", "exec", "--yes", `--package=${name}`, "--", "node", "-p", "process.execPath").trim();
}

/** 64 grey pictures of 8x8 pixels as an IDX file. */
function writePictures(folder) {
  mkdirSync(folder);
  const pixels = Uint8Array.from({ length: 64 * 64 }, (_, i) => (i * i) >> 3);
  const header = Uint8Array.of(0, 0, 8, 3, 0, 0, 0, 64, 0, 0, 0, 8, 0, 0, 0, 8);
  writeFileSync(join(folder, "noise-images-idx3-ubyte"), Uint8Array.of(...header, ...pixels));
}

const { engines } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const versions = engines.node.match(/\d+\.\d+\.\d+/g);
const folder = mkdtempSync(join(tmpdir(), "evenkeel-oldest-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
writePictures(join(folder, "pictures"));

for (const version of versions) {
  const node = pathOf(version);
  const evenkeel = (...args) => output(node, command, ...args);
  const [data, outdir] = [join(folder, `${version}.zip`), join(folder, version)];
  const pictures = join(folder, "pictures", "noise-images-idx3-ubyte");
  evenkeel("dataset", "convert", "--source", pictures, "--dest", data, "--resolution", "8x8");
  const network = ["--channels", "4", "--channel-mult", "1", "--blocks", "1", "--channels-per-head", "4"];
  const length = ["--duration", "1000", "--batch", "500", "--samples", "0"];
  evenkeel("train", "--preset", "smoke", ...network, ...length, "--data", data, "--outdir", outdir);
  if (!existsSync(join(outdir, "report.html"))) throw new Error(`Node ${version}: no report`);
  console.log(`Node ${version}: converts, trains, samples and reports`);
}
