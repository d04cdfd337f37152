import { createDataset, type ImageDataset } from "../diffusion/data/index.ts";
export function packDataset(d: ImageDataset): Uint8Array {
  const head = new TextEncoder().encode(
    JSON.stringify({ ...d, pixels: null, labels: d.labels && { ...d.labels, values: [...d.labels.values] } }),
  );
  const out = new Uint8Array(4 + head.length + d.pixels.length);
  new DataView(out.buffer).setUint32(0, head.length);
  out.set(head, 4);
  out.set(d.pixels, 4 + head.length);
  return out;
}
export async function unpackDataset(b: Uint8Array, name: string): Promise<ImageDataset> {
  const n = new DataView(b.buffer, b.byteOffset).getUint32(0);
  const h = JSON.parse(new TextDecoder().decode(b.subarray(4, 4 + n)));
  return createDataset({ ...h, name, pixels: b.slice(4 + n), labels: h.labels?.values ?? null });
}
