/** What is to be seen in the page: pictures and drawings, by their pixels. */
import type { Lab } from "./openLab.ts";

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

/** How many pixels of a panel's drawing have a colour: axes, letters and marks are grey. */
export async function colouredPixels(lab: Lab, panel: string): Promise<number> {
  const canvas = lab.page.getByRole("region", { name: panel }).locator("canvas").first();
  return canvas.evaluate((element: HTMLCanvasElement) => {
    const { width, height } = element;
    const data = element.getContext("2d")?.getImageData(0, 0, width, height).data ?? new Uint8ClampedArray();
    let count = 0;
    for (let at = 0; at < data.length; at += 4) {
      const [red = 0, green = 0, blue = 0, alpha = 0] = data.subarray(at, at + 4);
      if (alpha > 100 && Math.max(red, green, blue) - Math.min(red, green, blue) > 60) count++;
    }
    return count;
  });
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
