import assert from "node:assert/strict";
import { test } from "node:test";
import { stripVTControlCharacters } from "node:util";
import fc from "fast-check";
import { formatTime } from "../../../cli/formatTime.ts";
import { Progress, type Standing } from "../../../cli/train/progress.ts";

const erase = "\v";

/** A terminal of one growing screen: what is on it after all that was written. */
class Screen {
  readonly isTTY: boolean;
  readonly columns: number;
  writes: string[] = [];

  constructor(isTTY: boolean, columns = 200) {
    this.isTTY = isTTY;
    this.columns = columns;
  }

  write(text: string): void {
    this.writes.push(text);
  }

  /** Lines as they are seen: `\r` goes to the line's beginning, `ESC [K` erases from there. */
  get lines(): string[] {
    const lines = [""];
    let column = 0;
    // One character for "erase", so that a line can be walked character by character.
    const text = stripVTControlCharacters(this.writes.join("").replaceAll("\u001b[K", erase));
    for (const token of text) {
      const last = lines.length - 1;
      const line = lines[last] ?? "";
      if (token === erase) lines[last] = line.slice(0, column);
      else if (token === "\r") column = 0;
      else if (token === "\n") {
        lines.push("");
        column = 0;
      } else {
        lines[last] = line.slice(0, column) + token + line.slice(column + 1);
        column += 1;
      }
    }
    return lines;
  }
}

const standing: Standing = { nimg: 22_000, error: 0.41234, loss: -0.1234, speed: 110 };
const shown = "#####...............  25%  22,000 images  error 0.4123  loss -0.123  110 img/s  10 min left";

test("on a terminal, one line is redrawn at most five times a second", () => {
  const screen = new Screen(true);
  let now = 0;
  const progress = new Progress(88_000, screen, () => now);
  progress.step({ ...standing, nimg: 0 });
  now = 199;
  progress.step(standing);
  assert.equal(screen.writes.length, 1);
  now = 200;
  progress.step(standing);
  assert.equal(screen.writes.length, 2);
  progress.status(standing);
  assert.equal(screen.writes.length, 2, "a status line would repeat it");
  assert.deepEqual(screen.lines, [shown]);
});

test("a line that stays takes the drawn one's place, and what others write after end() begins a line", () => {
  const screen = new Screen(true);
  let now = 0;
  const progress = new Progress(88_000, screen, () => now);
  progress.step(standing);
  progress.line("checkpoint  runs/a");
  for (const what of ["sampling", "validating"]) {
    progress.work(what, 1, 4);
    now += 3000;
    progress.work(what, 2, 4);
  }
  progress.end();
  progress.end();
  screen.write("Report\n");
  assert.deepEqual(screen.lines, ["checkpoint  runs/a", "Report", ""]);
});

test("elsewhere there are plain lines at status intervals, without control characters", () => {
  const screen = new Screen(false);
  const progress = new Progress(88_000, screen, () => 0);
  progress.step(standing);
  progress.work("sampling", 1, 4);
  progress.status(standing);
  progress.line("checkpoint  runs/a");
  progress.end();
  assert.equal(screen.writes.join(""), `${shown}\ncheckpoint  runs/a\n`);
});

test("whatever the numbers and the width, the drawn line stays within one row", () => {
  const number = fc.oneof(fc.double(), fc.double({ min: 0, max: 1e6, noNaN: true }), fc.nat());
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 120 }),
      number,
      number,
      number,
      fc.nat(),
      (columns, error, loss, speed, nimg) => {
        const screen = new Screen(true, columns);
        new Progress(88_000, screen, () => 0).step({ nimg, error, loss, speed });
        const [line = "", ...more] = screen.lines;
        assert.deepEqual(more, []);
        // A full row would wrap on some terminals.
        assert.ok(stripVTControlCharacters(line).length < columns, line);
      },
    ),
  );
});

test("a terminal that says it has no columns is taken for one of 80", () => {
  const screen = new Screen(true, 0);
  new Progress(88_000, screen, () => 0).step({ nimg: 100, error: 0.5, loss: 0.5, speed: 100 });
  assert.equal(stripVTControlCharacters(screen.lines[0] ?? "").length, 79);
});

test("before the first measurement, speed and time are unknown; past the end, none is left", () => {
  const text = (each: Partial<Standing>): string => {
    const screen = new Screen(false);
    new Progress(88_000, screen, () => 0).status({ ...standing, ...each });
    return screen.writes.join("");
  };
  assert.match(text({ speed: Number.NaN }), / {2}\? img\/s {2}\? left\n$/);
  assert.match(text({ nimg: 88_032 }), /^#{20} 100% {2}88,032 images .* 0 s left\n$/);
  assert.match(text({ speed: 0.123 }), / {2}0\.12 img\/s {2}149 h 04 min left\n$/);
  assert.match(text({ speed: 3.04 }), / {2}3\.0 img\/s/);
});

test("times are rounded up, in the unit that fits", () => {
  const expected: [number, string][] = [
    [0, "0 s"],
    [0.2, "1 s"],
    [89, "89 s"],
    [90, "2 min"],
    [3540, "59 min"],
    [3541, "1 h 00 min"],
    [7500, "2 h 05 min"],
    [Number.POSITIVE_INFINITY, "?"],
    [Number.NaN, "?"],
  ];
  for (const [seconds, text] of expected) assert.equal(formatTime(seconds), text);
});

test("a step above two seconds says how far it is, a short one nothing", () => {
  const screen = new Screen(false);
  let now = 0;
  const progress = new Progress(88_000, screen, () => now);
  for (let step = 0; step < 100; step++) {
    progress.work("step after 0 images", 0, 4);
    now += 500;
    progress.step(standing);
  }
  assert.deepEqual(screen.writes, []);
  progress.work("step after 400 images", 0, 4);
  now += 2500;
  progress.work("step after 400 images", 1, 4);
  now += 10_000;
  progress.work("step after 400 images", 3, 4);
  progress.end();
  assert.deepEqual(screen.lines, [
    "step after 400 images: 1 of 4, 8 s left",
    "step after 400 images: 3 of 4, 5 s left",
    "",
  ]);
});
