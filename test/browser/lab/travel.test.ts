/** Runs on their way: as zips from the page to the command and back, and what is no run. */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { describe, it } from "node:test";
import { unzipSync } from "fflate";
import { exportRun } from "../../../diffusion/run/index.ts";
import { diskFolder } from "../../../engine/io/node.ts";
import { chromiumPath, skip } from "./chromium.ts";
import { evenkeelCommand } from "./command.ts";
import { withoutDialogues } from "./inPage.ts";
import { type Lab, type LabOptions, withLab } from "./openLab.ts";
import { storedRun } from "./storedRun.ts";
import {
  hashOf,
  learningOf,
  newestState,
  settingsOf,
  type RunFiles,
  tinyExperiment,
  trainInNode,
} from "./tinyExperiment.ts";

const run = "emoji16-G";
const experiment = tinyExperiment(64, { samples: 0, dynamics: 0 });

/** Calls `use` with a folder that is there for so long. */
async function inFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "evenkeel-lab-run-"));
  return use(folder).finally(() => rm(folder, { recursive: true }));
}

async function writeFiles(folder: string, files: RunFiles): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [name, bytes] of files) await writeFile(join(folder, name), bytes);
}

async function readFiles(folder: string): Promise<RunFiles> {
  const names = await readdir(folder);
  return new Map(await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name))] as const)));
}

/** A zip of a folder's run. */
async function zipOf(folder: string): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  await exportRun(diskFolder(folder), {
    write: (bytes) => {
      parts.push(new Uint8Array(bytes));
      return Promise.resolve();
    },
  });
  return Buffer.concat(parts);
}

/** Files as somebody picks them. */
const picked = (name: string, buffer: Buffer) => ({ name, mimeType: "application/zip", buffer });

async function openZip(lab: Lab, name: string, bytes: Buffer): Promise<void> {
  await lab.tab("Files");
  await lab.page.getByLabel("Open a zip").setInputFiles(picked(name, bytes));
}

describe("a run", { skip }, () => {
  it("goes from the page by zip to the command, and by zip from the command to the page, bit for bit", async () => {
    await inFolder(async (folder) => {
      const own = join(folder, run);
      const options: LabOptions = {
        hash: hashOf(experiment),
        before: (context) => context.addInitScript(withoutDialogues),
      };
      await withLab(chromiumPath, options, async (lab) => {
        await lab.start();
        await lab.reachImages(16);
        await lab.button("Stop").click();
        await lab.reach("Stopped");
        await lab.tab("Files");
        const downloads = lab.page.waitForEvent("download");
        await lab.button(`Download as zip: ${run}`).click();
        const download = await downloads;
        assert.equal(download.suggestedFilename(), `${run}.zip`);
        const zip = join(folder, "page.zip");
        await download.saveAs(zip);
        for (const [name, bytes] of Object.entries(unzipSync(await readFile(zip)))) {
          assert.equal(name, `${run}/${basename(name)}`);
          await writeFiles(own, new Map([[basename(name), bytes]]));
        }
        await lab.tab("Train");
        await lab.button("Go on").click();
        await lab.reach("Finished");
        const inPage = await storedRun(lab, run);

        const halfway = newestState(await readFiles(own));
        await evenkeelCommand("train", "--outdir", own);
        const inNode = await readFiles(own);
        assert.notEqual(newestState(inNode).name, halfway.name);
        assert.deepEqual(newestState(inNode), newestState(inPage));
        assert.deepEqual(learningOf(inNode), learningOf(inPage));

        const begun = join(folder, "begun-in-Node");
        await writeFiles(begun, await trainInNode(settingsOf(experiment), { until: 400 }));
        await openZip(lab, "begun-in-Node.zip", await zipOf(begun));
        await lab.page.getByText("begun-in-Node is open").waitFor();
        await lab.tab("Train");
        await lab.reach("Stopped");
        assert.equal(await lab.nimg(), 400);
        await lab.button("Go on").click();
        await lab.reach("Finished");
        const ended = await storedRun(lab, "begun-in-Node");
        assert.deepEqual(newestState(ended), newestState(inPage));
        assert.deepEqual(learningOf(ended), learningOf(inPage));
      });
    });
  });

  it("is not what can't be read as one, and that is told", async () => {
    await inFolder(async (folder) => {
      const own = join(folder, "run");
      await writeFiles(own, await trainInNode(settingsOf(tinyExperiment(2, { samples: 0, dynamics: 0 }))));
      const whole = await zipOf(own);
      const damaged = Buffer.from(whole);
      // In the middle of the archive are arrays.
      const middle = Math.floor(whole.length / 2);
      damaged.fill(1, middle, middle + 100);
      await rm(join(own, "settings.toml"));
      await withLab(chromiumPath, {}, async (lab) => {
        for (const [name, bytes, told] of [
          ["letter.zip", Buffer.from("Dear reader"), /letter\.zip/],
          ["half.zip", whole.subarray(0, middle), /half\.zip/],
          ["damaged.zip", damaged, /damaged\.zip/],
          ["empty.zip", Buffer.alloc(0), /empty\.zip/],
        ] as const) {
          await openZip(lab, name, bytes);
          await lab.page.locator(".problem").filter({ hasText: told }).waitFor();
          await lab.page.getByText("There are none yet").waitFor();
        }
        await openZip(lab, "run.zip", whole);
        await lab.page.getByText("run is open").waitFor();
        assert.equal(await lab.page.locator(".problem").count(), 0);
      });
    });
  });
});
