/** What is to be seen in the page: pictures and drawings, by their pixels. */
import { type Lab, patience } from "./openLab.ts";

/** Waits for the samples after so many images, and takes the picture's bytes. */
export async function samplesAfter(lab: Lab, nimg: number): Promise<Buffer> {
  const image = lab.page.getByRole("img", {
    name: new RegExp(`^Samples of .* after ${nimg.toLocaleString("en")} images`),
  });
  await image.waitFor();
  const text = await image.evaluate(async (element: HTMLImageElement) => {
    await element.decode();
    const blob = await (await fetch(element.src)).blob();
    return new Promise<string>((done) => {
      const reader = new FileReader();
      reader.onload = () => done(reader.result as string);
      reader.readAsDataURL(blob);
    });
  });
  return Buffer.from(text.slice(text.indexOf(",") + 1), "base64");
}

/** Colours of the first run in the charts and of the second, in light: all with more blue than red, and the other way round. */
export type Hue = "blue" | "orange";

/** How many pixels of a panel's drawing have such a colour: axes, letters and marks are grey. */
export async function pixelsOf(lab: Lab, panel: string, hue: Hue): Promise<number> {
  const canvas = lab.page.getByRole("region", { name: panel }).locator("canvas").first();
  return canvas.evaluate((element: HTMLCanvasElement, wanted) => {
    const { width, height } = element;
    const data = element.getContext("2d")?.getImageData(0, 0, width, height).data ?? new Uint8ClampedArray();
    let count = 0;
    for (let at = 0; at < data.length; at += 4) {
      const [red = 0, , blue = 0, alpha = 0] = data.subarray(at, at + 4);
      if (alpha > 100 && (wanted === "blue" ? blue - red : red - blue) > 60) count++;
    }
    return count;
  }, hue);
}

/** Waits until a panel's drawing has such a colour, or none of it. */
export async function reachPixels(lab: Lab, panel: string, hue: Hue, isThere: boolean): Promise<void> {
  const begun = performance.now();
  while ((await pixelsOf(lab, panel, hue)) > 20 !== isThere) {
    if (performance.now() - begun > patience) throw new Error(`${panel}: ${isThere ? "no" : "still"} ${hue} pixels`);
    await lab.page.waitForTimeout(100);
  }
}

/** How many colours a panel's drawing has. */
export async function countColours(lab: Lab, panel: string): Promise<number> {
  const canvas = lab.page.getByRole("region", { name: panel }).locator("canvas").first();
  return canvas.evaluate((element: HTMLCanvasElement) => {
    const { width, height } = element;
    const data = element.getContext("2d")?.getImageData(0, 0, width, height).data ?? new Uint8ClampedArray();
    return new Set(new Uint32Array(data.buffer)).size;
  });
}
