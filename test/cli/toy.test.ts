import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, describe, it, type TestContext } from "node:test";
import { Command, CommanderError } from "@commander-js/extra-typings";
import { decode } from "fast-png";
import { addToyCommand } from "../../cli/commands/toy.ts";
import { EvenkeelError } from "../../engine/index.ts";

const root = mkdtempSync(path.join(os.tmpdir(), "evenkeel-toy-command-"));
after(() => rmSync(root, { recursive: true }));
const run = path.join(root, "run");
const last = path.join(run, "toy-0000006.safetensors");

/** Runs `evenkeel toy` in this process; gives what it printed. */
async function toy(t: TestContext, ...args: readonly string[]): Promise<string> {
  const output: string[] = [];
  const log = t.mock.method(console, "log", (text: string) => void output.push(text));
  const program = new Command("evenkeel").exitOverride().configureOutput({ writeErr: () => undefined });
  addToyCommand(program);
  for (const command of program.commands)
    for (const inner of command.commands) inner.configureOutput({ writeErr: () => undefined });
  try {
    await program.parseAsync(["toy", ...args], { from: "user" });
    return output.join("\n");
  } finally {
    log.mock.restore();
  }
}

describe("evenkeel toy", () => {
  it("trains into a folder, and into no folder twice", async (t) => {
    const args = ["train", "--outdir", run, "--dim", "8", "--layers", "1", "--batch", "32", "--iterations", "6"];
    const output = await toy(t, ...args, "--snapshot-every", "4", "--device", "wasm");
    assert.ok(output.endsWith(last));
    assert.deepEqual(readdirSync(run).sort(), ["stats.jsonl", "toy-0000004.safetensors", "toy-0000006.safetensors"]);
    const [line = ""] = readFileSync(path.join(run, "stats.jsonl"), "utf8").split("\n");
    const stats = JSON.parse(line) as { iteration: number; loss: number; learningRate: number };
    assert.equal(stats.iteration, 6);
    assert.equal(stats.learningRate, 0.01);
    assert.ok(stats.loss > 0);
    await assert.rejects(toy(t, ...args), /has toy-\d{7}\.safetensors of an earlier run\. Choose another --outdir/);
  });

  it("reports in words and as JSON", async (t) => {
    const args = ["report", "--net", last, "--bins", "2", "--points", "32", "--samples", "40", "--repeats", "3"];
    const quick = [...args, "--steps", "4", "--device", "wasm"];
    const text = await toy(t, ...quick);
    assert.match(text, /^8 wide, 6 iterations, class A\n/);
    assert.match(text, /not below 1 % at every bin/);
    const report = JSON.parse(await toy(t, ...quick, "--json")) as {
      excessLoss: { sigmaFrom: number; sigmaTo: number; ratio: number }[];
      worstRatio: number;
      isBelowOnePercent: boolean;
      isWithinNoise: { slicedWasserstein: boolean; logDensity: boolean };
      samples: { samples: number; repeats: number };
    };
    assert.deepEqual([report.excessLoss[0]?.sigmaFrom, report.excessLoss.length], [0.002, 2]);
    assert.ok(Math.abs((report.excessLoss[1]?.sigmaTo ?? NaN) - 5) <= 1e-12);
    assert.equal(report.worstRatio, Math.max(...report.excessLoss.map(({ ratio }) => ratio)));
    assert.equal(report.isBelowOnePercent, false);
    assert.deepEqual(report.isWithinNoise, { slicedWasserstein: false, logDensity: false });
    assert.deepEqual([report.samples.samples, report.samples.repeats], [40, 3]);
  });

  it("finds no fault with the truth", async (t) => {
    const args = ["--bins", "2", "--points", "32", "--samples", "200", "--repeats", "8", "--steps", "24"];
    const text = await toy(t, "report", "--net", "exact:B", ...args, "--device", "wasm");
    assert.match(text, /worst 0(\.0+)? %: below 1 % at every bin/);
    assert.match(text, /samples are within 3 deviations of true draws by their distance, within by their density/);
  });

  it("draws eight panels with a guide, as SVG and PNG, and four without", async (t) => {
    const quick = ["--samples", "20", "--trajectories", "2", "--device", "wasm"];
    const [svg, png] = ["a.svg", "a.png"].map((name) => path.join(root, name)) as [string, string];
    await toy(t, "plot", "--net", last, "--gnet", path.join(run, "toy-0000004.safetensors"), "--save", svg, ...quick);
    const drawing = readFileSync(svg, "utf8");
    assert.equal(drawing.match(/<g clip-path=/g)?.length, 8);
    assert.match(drawing, /Trajectories, guidance 3/);
    assert.ok(!drawing.replaceAll(/base64,[^"]*/g, "").includes("NaN"));
    await toy(t, "plot", "--net", last, "--save", png, ...quick);
    const { width, height, data, channels } = decode(readFileSync(png));
    // One row of four.
    assert.ok(width > 2000 && height < width / 2.5);
    // Points were drawn: there are pixels in the blue of samples.
    let blue = 0;
    for (let i = 0; i < data.length; i += channels) if ((data[i + 2] ?? 0) > (data[i] ?? 0) + 40) blue++;
    assert.ok(blue > 100, `${blue}`);
  });

  it("refuses what it can't do, and says why", async (t) => {
    const refusals: readonly (readonly [args: readonly string[], message: RegExp])[] = [
      [["plot", "--net", "exact:A", "--save", "x.pdf"], /x\.pdf is neither a \.png nor a \.svg/],
      [
        ["plot", "--net", "exact:C", "--save", "x.svg"],
        /exact:C is no exact score; expected exact:A, exact:B, exact:AB/,
      ],
      [["report", "--net", path.join(root, "none.safetensors")], /none\.safetensors/],
      [["report", "--net", "exact:A", "--device", "gpu"], /unknown device "gpu"/],
    ];
    for (const [args, message] of refusals) {
      await assert.rejects(
        toy(t, ...args),
        (error) => error instanceof EvenkeelError && message.test(error.message),
        args.join(" "),
      );
    }
    const unparsed = [
      ["train"],
      ["train", "--outdir", "x", "--cls", "C"],
      ["train", "--outdir", "x", "--dim", "0"],
      ["train", "--outdir", "x", "--lr", "-1"],
      ["report", "--net", "exact:A", "--repeats", "2"],
      ["plot", "--net", "exact:A", "--save", "x.svg", "--guidance", "much"],
    ];
    for (const args of unparsed) await assert.rejects(toy(t, ...args), CommanderError, args.join(" "));
    assert.ok(!existsSync("x"));
  });
});
