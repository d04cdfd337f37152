import type { View } from "./raster.ts";

/** One picture of the plane: what lies over what, from the bottom. */
export type Panel = { readonly title: string; readonly note: string; readonly layers: readonly Layer[] };

/** What a panel shows: a raster, points, lines through points, or arrows. Points are [N, 2] in the plane's coordinates. */
export type Layer =
  | { readonly kind: "raster"; readonly address: string }
  | { readonly kind: "points"; readonly points: Float64Array; readonly colour: string; readonly radius: number }
  | {
      readonly kind: "lines";
      readonly lines: readonly Float64Array[];
      readonly colour: string;
      readonly width: number;
      readonly opacity: number;
    }
  | { readonly kind: "arrows"; readonly from: Float64Array; readonly to: Float64Array; readonly colour: string };

const panelSize = 360;
const gap = 22;
const titleHeight = 42;
const margin = 24;
const headline = 40;

/** Panels in rows of four, as an SVG document. */
export function drawPanels(heading: string, panels: readonly Panel[], view: View): string {
  const columns = Math.min(4, panels.length);
  const rows = Math.ceil(panels.length / columns);
  const width = 2 * margin + columns * panelSize + (columns - 1) * gap;
  const height = 2 * margin + headline + rows * (panelSize + titleHeight) + (rows - 1) * gap;
  const parts = panels.map((panel, i) => {
    const x = margin + (i % columns) * (panelSize + gap);
    const y = margin + headline + Math.floor(i / columns) * (panelSize + titleHeight + gap);
    return drawPanel(panel, view, x, y, `${String.fromCharCode(97 + i)})`);
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="${width}" ` +
      `height="${height}" viewBox="0 0 ${width} ${height}" font-family="Helvetica, Arial, 'Liberation Sans', sans-serif">`,
    `<rect width="${width}" height="${height}" fill="#fcfcfb"/>`,
    `<defs><clipPath id="panel"><rect width="${panelSize}" height="${panelSize}"/></clipPath></defs>`,
    `<text x="${margin}" y="${margin + 18}" font-size="19" font-weight="700" fill="#1b1b1b">${escape(heading)}</text>`,
    ...parts,
    "</svg>\n",
  ].join("\n");
}

function drawPanel({ title, note, layers }: Panel, view: View, x: number, y: number, letter: string): string {
  return [
    `<g transform="translate(${x} ${y})">`,
    `<text y="14" font-size="15" font-weight="600" fill="#1b1b1b">${letter} ${escape(title)}</text>`,
    `<text y="32" font-size="12" fill="#666">${escape(note)}</text>`,
    `<g transform="translate(0 ${titleHeight})"><g clip-path="url(#panel)">`,
    `<rect width="${panelSize}" height="${panelSize}" fill="white"/>`,
    ...layers.map((layer) => drawLayer(layer, view)),
    "</g>",
    `<rect width="${panelSize}" height="${panelSize}" fill="none" stroke="#bbb"/>`,
    "</g></g>",
  ].join("\n");
}

function drawLayer(layer: Layer, view: View): string {
  switch (layer.kind) {
    case "raster":
      return `<image width="${panelSize}" height="${panelSize}" href="${layer.address}" xlink:href="${layer.address}"/>`;
    case "points": {
      // Lines of no length with round ends are dots, in one element for all.
      const dots = positions(layer.points, view).map(([x, y]) => (isNear(x, y) ? `M${round(x)} ${round(y)}h0` : ""));
      return (
        `<path d="${dots.join("")}" stroke="${layer.colour}" stroke-width="${2 * layer.radius}" ` +
        'stroke-linecap="round" fill="none" stroke-opacity="0.75"/>'
      );
    }
    case "lines": {
      const paths = layer.lines.map((line) => {
        const places = positions(line, view).map(([x, y]) => `${round(x)} ${round(y)}`);
        return `<path d="M${places.join("L")}"/>`;
      });
      return (
        `<g stroke="${layer.colour}" stroke-width="${layer.width}" stroke-opacity="${layer.opacity}" fill="none" ` +
        `stroke-linejoin="round">${paths.join("")}</g>`
      );
    }
    case "arrows": {
      const ends = positions(layer.to, view);
      const arrows = positions(layer.from, view).map(([x, y], i) => arrow(x, y, ...(ends[i] ?? [x, y])));
      return `<path d="${arrows.join("")}" stroke="${layer.colour}" stroke-width="1.1" fill="none" stroke-linecap="round"/>`;
    }
  }
}

/** A shaft and two barbs. Too short ones are left out. */
function arrow(x0: number, y0: number, x1: number, y1: number): string {
  const length = Math.hypot(x1 - x0, y1 - y0);
  if (length < 1) return "";
  const barb = Math.min(4, 0.4 * length);
  const direction = Math.atan2(y1 - y0, x1 - x0);
  const barbs = [0.8 * Math.PI, -0.8 * Math.PI].map((turn) => {
    const [x, y] = [x1 + barb * Math.cos(direction + turn), y1 + barb * Math.sin(direction + turn)];
    return `M${round(x1)} ${round(y1)}L${round(x)} ${round(y)}`;
  });
  return `M${round(x0)} ${round(y0)}L${round(x1)} ${round(y1)}${barbs.join("")}`;
}

function positions(points: Float64Array, { left, bottom, size }: View): (readonly [number, number])[] {
  return Array.from({ length: points.length / 2 }, (_, i) => [
    (((points[2 * i] ?? NaN) - left) / size) * panelSize,
    (1 - ((points[2 * i + 1] ?? NaN) - bottom) / size) * panelSize,
  ]);
}

function isNear(x: number, y: number): boolean {
  return Math.max(Math.abs(x - panelSize / 2), Math.abs(y - panelSize / 2)) < panelSize;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
