/** An explanation as one self-contained HTML page: passes, kernels with their sources and times, and a map of memory over time. */
import {
  describeBytes,
  describeCount,
  describeDispatches,
  describeMemory,
  type ExplainedKernel,
  type Explanation,
  gigaflopsPerSecond,
  intensity,
  kernelCosts,
  memoryMap,
} from "../engine/index.ts";

const escape = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");

function percent(share: number): string {
  return `${(100 * share).toFixed(1)}%`;
}

/** What is empty where there is none. */
const rounded = (value: number | null | undefined, digits: number): string => value?.toFixed(digits) ?? "";

function kernelRow(kernel: ExplainedKernel, step: number, share: number): string {
  const { name, milliseconds, flops, bytes } = kernel;
  const buffers = (numbers: readonly number[]): string => numbers.map((b) => `b${b}`).join(" ");
  return `<tr><td>${step}</td><td><a href="#kernel-${step}">${escape(name)}</a></td>
<td class="bar"><span style="width:${percent(share)}"></span>${percent(share)}</td>
<td>${rounded(milliseconds, 3)}</td><td>${rounded(gigaflopsPerSecond(kernel), 2)}</td><td>${describeCount(flops)}</td><td>${describeBytes(bytes)}</td>
<td>${rounded(intensity(kernel), 2)}</td><td>${buffers(kernel.operands)} &rarr; ${buffers(kernel.results)}</td></tr>`;
}

function kernelSection(kernel: ExplainedKernel, step: number): string {
  const sources = kernel.sources
    .map(
      ({ language, text }) =>
        `<details><summary>${escape(language)}, ${text.split("\n").length} lines</summary><pre>${escape(text)}</pre></details>`,
    )
    .join("\n");
  return `<section id="kernel-${step}"><h3>${step}. ${escape(kernel.name)}</h3><pre>${escape(kernel.text)}</pre>${sources}</section>`;
}

/** Temporaries as rectangles: steps to the right, addresses downwards. Slots stand below each other. */
function memoryPicture(explanation: Explanation): string {
  const { steps, bytes: total, slots, buffers } = memoryMap(explanation);
  if (steps === 0 || total === 0) return "<p>No temporaries.</p>";
  const [width, height] = [900, 360];
  const rectangles = buffers.map(({ buffer, dtype, length, first, last, start, bytes }) => {
    const x = (first / steps) * width;
    const y = (start / total) * height;
    const w = ((last - first + 1) / steps) * width;
    const h = Math.max(0.5, (bytes / total) * height);
    const title = `b${buffer}: ${dtype} x ${length} (${describeBytes(bytes)}), steps ${first} to ${last}`;
    const hue = (buffer * 137) % 360;
    return `<rect x="${x.toFixed(1)}" y="${y.toFixed(1)}" width="${w.toFixed(1)}" height="${h.toFixed(1)}" fill="hsl(${hue} 55% 70%)"><title>${title}</title></rect>`;
  });
  return `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="temporaries over time">${rectangles.join("\n")}</svg>
<p class="note">${describeBytes(total)} of temporaries in ${slots} ${slots === 1 ? "arena" : "slots"}; each rectangle is a buffer: steps to the right, addresses downwards.</p>`;
}

const style = `
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; color: #1c2430; background: #fff; }
h1 { font-size: 1.5rem } h2 { margin-top: 2.2rem; border-bottom: 1px solid #d5dbe3; font-size: 1.2rem } h3 { font-size: 1rem; margin-bottom: .3rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .86rem; width: 100% }
th, td { text-align: left; padding: .2rem .6rem .2rem 0; border-bottom: 1px solid #eef1f5; white-space: nowrap }
.bar { position: relative; width: 10rem } .bar span { position: absolute; inset: 15% auto 15% 0; background: #9cc3f2; z-index: -1 }
pre { background: #f6f8fa; padding: .7rem; overflow-x: auto; font: 12.5px/1.45 ui-monospace, monospace; max-height: 32rem }
svg { width: 100%; background: #f6f8fa } .note { color: #5a6675; font-size: .86rem } summary { cursor: pointer; color: #22568c }
@media print { pre { max-height: none } }`;

/** @returns the page's text; it needs no other file. */
export function explanationPage(title: string, explanation: Explanation): string {
  const { kernels } = explanation;
  const { measure, shares, milliseconds, flops } = kernelCosts(kernels);
  const rows = kernels.map((kernel, step) => kernelRow(kernel, step, shares[step] ?? 0));
  const buffers = explanation.buffers.map(
    ({ dtype, length, bytes, role, slot, offset }, b) =>
      `<tr><td>b${b}</td><td>${dtype}</td><td>${length}</td><td>${describeBytes(bytes)}</td><td>${role}</td><td>${slot ?? ""}</td><td>${offset ?? ""}</td></tr>`,
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escape(title)}</title><style>${style}</style></head><body>
<h1>${escape(title)}</h1>
<p>${escape(explanation.device)}. ${kernels.length} kernels, ${describeCount(flops)} flops a run${milliseconds !== null ? `, ${milliseconds.toFixed(2)} ms measured kernel by kernel` : ""}, ${describeBytes(explanation.bytes)} held on the device.</p>
<h2>Kernels</h2>
<table><tr><th>step</th><th>kernel</th><th>share of ${measure}</th><th>ms</th><th>GFLOP/s</th><th>flops</th><th>bytes</th><th>flops/byte</th><th>buffers</th></tr>
${rows.join("\n")}</table>
<h2>Dispatches</h2>
${explanation.dispatches === undefined ? "" : `<pre>${escape(describeDispatches(explanation.dispatches).join("\n"))}</pre>`}
<h2>Memory</h2>
${explanation.memory === undefined ? "" : `<pre>${escape(describeMemory(explanation.memory).join("\n"))}</pre>`}
${memoryPicture(explanation)}
<details><summary>${buffers.length} buffers</summary><table><tr><th></th><th>dtype</th><th>elements</th><th>bytes</th><th>role</th><th>slot</th><th>offset</th></tr>
${buffers.join("\n")}</table></details>
<h2>Graph, pass by pass</h2>
${explanation.passes.map(({ name, nodes, text }) => `<details><summary>${escape(name)}: ${nodes} nodes</summary><pre>${escape(text)}</pre></details>`).join("\n")}
<h2>Kernel by kernel</h2>
${kernels.map(kernelSection).join("\n")}
</body></html>
`;
}
