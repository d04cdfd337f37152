/** What self-contained pages have in common: no network, no script; they print well, in light and dark. */

/** Text as it may stand in markup and attributes. */
export const escapeHtml = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");

/** Markup with a caption of markup. */
export function figure(content: string, caption: string): string {
  return `<figure>${content}<figcaption>${caption}</figcaption></figure>`;
}

/** A picture within the page. */
export function pngFigure(png: Uint8Array, caption: string): string {
  const data = Buffer.from(png).toString("base64");
  return figure(`<img alt="${escapeHtml(caption)}" src="data:image/png;base64,${data}">`, escapeHtml(caption));
}

/** The style of a page; charts take their colours from its variables. */
export const pageStyle = `
:root { color-scheme: light dark; --ink: #1d1f23; --faint: #6a6f78; --paper: #fdfdfb; --line: #e6e6e0; --code: #f4f4ef; --accent: #2f6fb7; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e3; --faint: #9aa0a8; --paper: #17181b; --line: #2c2e34; --code: #202226; --accent: #6ea8e6; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1180px; padding: 48px 32px 80px; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-weight: 600; font-size: 32px; line-height: 1.2; margin: 0 0 24px; letter-spacing: -0.015em; }
h2 { font-weight: 600; font-size: 20px; margin: 52px 0 18px; padding-top: 18px; border-top: 1px solid var(--line); }
header dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(190px, 1fr)); gap: 16px 28px; margin: 0; }
dt { color: var(--faint); font-size: 13px; }
dd { margin: 0; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(440px, 100%), 1fr)); gap: 32px 36px; }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(400px, 100%), 1fr)); gap: 32px 36px; }
.progress { display: grid; grid-template-columns: repeat(auto-fill, minmax(200px, 1fr)); gap: 22px; }
figure { margin: 0; break-inside: avoid; }
figure svg { display: block; width: 100%; height: auto; color: var(--faint); --plot-background: var(--paper); }
figure svg text { font-size: 11px; font-variant-numeric: tabular-nums; }
img { width: 100%; image-rendering: pixelated; background: #fff; border-radius: 3px; display: block; }
figcaption { color: var(--faint); font-size: 13px; margin-top: 8px; max-width: 62ch; }
.nothing { color: var(--faint); font-style: italic; margin: 0; padding: 60px 0; text-align: center; }
.commands p { margin: 0 0 6px; }
pre { background: var(--code); margin: 0 0 18px; padding: 12px 14px; border-radius: 6px; font-size: 13px; line-height: 1.45;
  white-space: pre-wrap; overflow-wrap: anywhere; }
.settings dl { columns: 260px; column-gap: 36px; margin: 0; font: 13px/1.5 ui-monospace, monospace; }
.settings dl div { display: flex; justify-content: space-between; gap: 16px; padding: 3px 0;
  border-bottom: 1px solid var(--line); break-inside: avoid; }
.settings dd { text-align: right; }
@media print {
  :root { --ink: #000; --faint: #555; --paper: #fff; --line: #ddd; --code: #f4f4f4; --accent: #2f6fb7; color-scheme: light; }
  body { padding: 0; max-width: none; font-size: 12px; }
  .charts, .pictures { grid-template-columns: 1fr 1fr; gap: 18px; }
  .progress { grid-template-columns: repeat(4, 1fr); }
  h2 { break-after: avoid; }
}
`;
