import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { parse } from "smol-toml";
import { splitConfig } from "../../../cli/commands/train.ts";
import { mergeSettings } from "../../../cli/train/merge.ts";
import { presets } from "../../../diffusion/presets/index.ts";
import { formatSettings } from "../../../diffusion/settings/index.ts";
import { EvenkeelError } from "../../../engine/index.ts";

let root = "";
before(async () => {
  root = await mkdtemp(join(tmpdir(), "evenkeel-merge-"));
});
after(() => rm(root, { recursive: true }));

async function file(name: string, text: string): Promise<string> {
  const path = join(root, name);
  await writeFile(path, text);
  return path;
}

const refused = (code: string, pattern: RegExp) => (reason: unknown) => {
  assert.ok(reason instanceof EvenkeelError);
  assert.equal(reason.code, code);
  assert.match(reason.message, pattern);
  return true;
};
const places = { outdir: "runs/a", data: "a.zip" };

test("flags win over the file, the file over the preset, the preset over the defaults", async () => {
  const config = await file(
    "run.toml",
    'preset = "smoke"\nlr = 0.5\nP_mean = -1.5\nbatch-device = "1Ki"\nduration = "8Mi"\n',
  );
  const settings = await mergeSettings({ ...places, lr: 0.25, batch: 2048, xflip: undefined }, config);
  assert.equal(settings.lr, 0.25, "flag");
  assert.equal(settings.P_mean, -1.5, "file");
  assert.equal(settings["batch-device"], 1024);
  assert.equal(settings.duration, 8 * 2 ** 20);
  assert.equal(settings.decay, presets["smoke"]?.decay, "preset");
  assert.equal(settings.xflip, false, "default");
});

test("flags arrive in camelCase and find their settings", async () => {
  const flags = { ...places, preset: "smoke", batchDevice: 4, attnResolutions: [4], P_std: 0.7, snapshotDtype: "F32" };
  const settings = await mergeSettings(flags, undefined);
  assert.equal(settings["batch-device"], 4);
  assert.deepEqual(settings["attn-resolutions"], [4]);
  assert.equal(settings.P_std, 0.7);
  assert.equal(settings["snapshot-dtype"], "F32");
});

test("merged settings, written and read back as a config file, are the same settings", async () => {
  for (const preset of Object.keys(presets)) {
    const settings = await mergeSettings(
      { outdir: 'runs/"odd" \\ näme', data: "a b.zip", preset, threads: 2 },
      undefined,
    );
    const config = await file("settings.toml", formatSettings(settings));
    assert.deepEqual(await mergeSettings({}, config), settings);
    assert.deepEqual({ ...parse(formatSettings(settings)) }, settings);
  }
});

test("a run made longer keeps the intervals it was saved with", async () => {
  const first = await mergeSettings({ ...places, preset: "emoji16" }, undefined);
  const config = await file("longer.toml", formatSettings(first));
  const longer = await mergeSettings({ duration: 2 * first.duration }, config);
  assert.deepEqual(longer, { ...first, duration: 2 * first.duration });
});

test("mistakes name their file or flag, what is there and what was expected", async () => {
  const typo = await file("typo.toml", 'preset = "smoke"\nbatchdevice = 3\n');
  await assert.rejects(
    mergeSettings(places, typo),
    refused("value", /typo\.toml: batchdevice is no option; did you mean batch-device\?/),
  );
  const images = await file("images.toml", 'preset = "smoke"\nduration = "8 pictures"\n');
  await assert.rejects(
    mergeSettings(places, images),
    refused("value", /images\.toml: duration: "8 pictures" is no number of images/),
  );
  const preset = await file("preset.toml", 'preset = "smoky"\n');
  await assert.rejects(
    mergeSettings(places, preset),
    refused("value", /preset\.toml: preset is "smoky"; expected one of/),
  );
  await assert.rejects(
    mergeSettings({ ...places, preset: "smoke", P_std: 0 }, undefined),
    refused("value", /^train: --P_std is 0; expected number to be >0\.$/),
  );
  await assert.rejects(
    mergeSettings({ preset: "smoke" }, undefined),
    refused("value", /^--outdir, --data are not set; looked in the defaults, the preset smoke, train\.$/),
  );
  await assert.rejects(mergeSettings(places, undefined), refused("value", /no preset\. Choose one by --preset/));
});

test("a configuration brings its recipe, which flags override, and its settings stay together", async () => {
  const preset = presets["emoji32"];
  assert.ok(preset !== undefined);
  const merge = (flags: Record<string, unknown>, config?: string) =>
    mergeSettings({ ...places, preset: "emoji32", ...flags }, config);
  const [plain, a, e] = [await merge({}), await merge({ config: "A" }), await merge({ config: "E", lr: 0.5 })];
  assert.deepEqual([plain.config, plain.lr, plain.batch, plain.ls], ["G", preset.lr, preset.batch, 1]);
  assert.deepEqual([a.batch, a.ls, a.decay, a.dropout, a.P_mean], [2 * preset.batch, 100, 0, 0.1, -1.2]);
  assert.deepEqual([a["attn-resolutions"], plain["attn-resolutions"]], [[16, 8], [8]]);
  assert.deepEqual([e.lr, e.decay, e.dropout, e.P_mean], [0.5, preset.decay, 0.1, preset.P_mean]);
  const saved = await file("a.toml", formatSettings(a));
  assert.deepEqual(await merge({}, saved), a);
  assert.deepEqual(await merge({ config: "A" }, saved), a);
  await assert.rejects(
    merge({ config: "G" }, saved),
    refused("value", /a\.toml holds settings for configuration A, not for G/),
  );
  await assert.rejects(
    merge({ preset: "smoke" }, saved),
    refused("value", /a\.toml holds settings for preset emoji32, not for smoke/),
  );
  await assert.rejects(merge({ config: "H" }), refused("value", /--config is "H"/));
});

test("without a preset and a file, the settings are those of the run in the folder", async () => {
  const outdir = join(root, "run");
  const first = await mergeSettings({ outdir, data: "a.zip", preset: "emoji16", lr: 0.25 }, undefined);
  await assert.rejects(mergeSettings({ outdir }, undefined), refused("value", /no preset\. Choose one/));
  await mkdir(outdir);
  await writeFile(join(outdir, "settings.toml"), formatSettings(first));
  assert.deepEqual(await mergeSettings({ outdir }, undefined), first);
  assert.deepEqual(await mergeSettings({ outdir, data: "b.zip" }, undefined), { ...first, data: "b.zip" });
  const smoke = await mergeSettings({ outdir, data: "a.zip", preset: "smoke" }, undefined);
  assert.deepEqual([smoke.preset, smoke.lr], ["smoke", presets["smoke"]?.lr]);
});

test("--config takes a letter, a file, or one of each", () => {
  assert.deepEqual(splitConfig([]), { letter: undefined, file: undefined });
  assert.deepEqual(splitConfig(["B"]), { letter: "B", file: undefined });
  assert.deepEqual(splitConfig(["run.toml", "C"]), { letter: "C", file: "run.toml" });
  assert.deepEqual(splitConfig(["./H"]), { letter: undefined, file: "./H" });
  assert.throws(() => splitConfig(["H"]), refused("value", /unknown configuration "H"; there are A, B, C/));
  for (const given of [
    ["A", "B"],
    ["A", "A", "B"],
    ["a.toml", "b.toml"],
    ["A", "a.toml", "A"],
  ]) {
    assert.throws(() => splitConfig(given), refused("value", /--config is given as/));
  }
});

test("a file that is missing, or no TOML, is told with its name and place", async () => {
  await assert.rejects(mergeSettings(places, join(root, "none.toml")), refused("file", /none\.toml: .*ENOENT/));
  const broken = await file("broken.toml", 'preset = "smoke"\nlr = = 3\n');
  await assert.rejects(mergeSettings(places, broken), refused("file", /broken\.toml: [^]*2/));
});

test("a file of any size is told in few words", async () => {
  const long = "x".repeat(1e6);
  const texts = [
    `lr = ${long}`,
    `lr = "${long}"`,
    `${long} = 1`,
    Array.from({ length: 20_000 }, (_, i) => `duratio${i} = 1`).join("\n"),
    `ema = [${'"a",'.repeat(100_000)}]`,
    `lr = ${"[".repeat(1e6)}`,
    'preset = "\\u001b[31m"',
  ];
  for (const text of texts) {
    await assert.rejects(mergeSettings(places, await file("long.toml", text)), (reason) => {
      assert.ok(reason instanceof EvenkeelError);
      assert.match(reason.message, /long\.toml/);
      assert.doesNotMatch(reason.message, /\p{Cc}/u);
      assert.ok(reason.message.length < 2500, `${reason.message.length} characters`);
      return true;
    });
  }
});

test("switches that can't be are refused before any data are read", async () => {
  const merge = (switches: string, config = "A") =>
    mergeSettings({ ...places, preset: "smoke", config, switches }, undefined);
  await assert.rejects(merge("sparkle=true"), refused("value", /unknown switch "sparkle"/));
  await assert.rejects(merge("groupNorm=some"), refused("value", /switch groupNorm is "some", expected/));
  await assert.rejects(merge("forcedNorm=true"), refused("value", /forcedNorm needs weightNorm/));
  assert.equal((await merge("forcedNorm=false", "E")).switches, "forcedNorm=false");
});
