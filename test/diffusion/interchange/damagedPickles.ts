import { readFileSync } from "node:fs";
import { type Draw, seededDraw } from "../../engine/io/mutateFile.ts";

/** Small networks by protocol: every element type, shared and strided storages, an encoder with numpy's arrays. */
export const protocolSamples: readonly Uint8Array[] = [0, 1, 2, 3, 4, 5].map((protocol) =>
  readBytes(new URL(`samples/network-protocol${protocol}.pkl`, import.meta.url)),
);

/** A snapshot that the reference wrote. */
export const realSnapshot = readBytes(
  new URL("../../reference/phema_chain/network-snapshot-0000008-0.050.pkl", import.meta.url),
);

function readBytes(file: URL): Uint8Array {
  return new Uint8Array(readFileSync(file));
}

type Damage = (file: Uint8Array, draw: Draw) => Uint8Array;

/** Letters of opcodes of all protocols: a byte replaced by one is more often read on than refused. */
const opcodes = Buffer.from("(.012FIJKLMNPQRSTUVXabcdeghijlopqrstu}])G", "latin1");

const damages: readonly Damage[] = [
  (file, draw) => file.slice(0, draw(file.length)),
  (file, draw) => {
    const [from, length] = [draw(file.length), 1 + draw(64)];
    return Buffer.concat([file.subarray(0, from), file.subarray(Math.min(file.length, from + length))]);
  },
  (file, draw) => {
    const [from, length] = [draw(file.length), 1 + draw(64)];
    return Buffer.concat([file.subarray(0, from + length), file.subarray(from)]);
  },
  (file, draw) => change(file, draw(file.length), (byte) => byte ^ (1 << draw(8))),
  (file, draw) => {
    let damaged = file;
    for (let n = 1 + draw(8); n > 0; n--) damaged = change(damaged, draw(file.length), () => draw(256));
    return damaged;
  },
  (file, draw) => change(file, draw(file.length), () => opcodes[draw(opcodes.length)] ?? 0),
  (file, draw) => change(file, draw(file.length), () => 0x80 + draw(0x19)),
  // Two pieces change places.
  (file, draw) => {
    const length = 1 + draw(64);
    const [a, b] = [draw(file.length - length), draw(file.length - length)];
    const damaged = file.slice();
    damaged.set(file.subarray(b, b + length), a);
    damaged.set(file.subarray(a, a + length), b);
    return damaged;
  },
];

function change(file: Uint8Array, at: number, by: (byte: number) => number): Uint8Array {
  const damaged = file.slice();
  damaged[at] = by(damaged[at] ?? 0);
  return damaged;
}

/** Damaged files, always the same ones. */
export function* damagedPickles(count: number): Generator<Uint8Array> {
  const draw = seededDraw(20_261_123);
  const originals = [...protocolSamples, realSnapshot];
  for (let n = 0; n < count; n++) {
    const original = originals[n % originals.length] ?? realSnapshot;
    const damage = damages[draw(damages.length)];
    if (damage !== undefined) yield damage(original, draw);
  }
}
