/** An explanation as one self-contained HTML page: passes, kernels with their sources and times, and a map of memory over time. */
import { describeDispatches, describeMemory, type ExplainedKernel, type Explanation } from "../engine/index.ts";

const escape = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");

function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 2 ** 20 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

function formatCount(count: number): string {
  if (count < 1e3) return String(count);
  if (count < 1e6) return `${(count / 1e3).toFixed(1)} k`;
  return count < 1e9 ? `${(count / 1e6).toFixed(1)} M` : `${(count / 1e9).toFixed(2)} G`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)}%`;
}

/** What the bars of the kernel table show: time where it was measured, else arithmetic. */
function costOf(kernels: readonly ExplainedKernel[]): {
  readonly label: string;
  readonly of: (kernel: ExplainedKernel) => number;
} {
  const profiled = kernels.every(({ milliseconds }) => milliseconds !== undefined) && kernels.length > 0;
  return profiled
    ? { label: "share of time", of: ({ milliseconds }) => milliseconds ?? 0 }
    : { label: "share of flops", of: ({ flops }) => flops };
}

function kernelRow(kernel: ExplainedKernel, step: number, share: number): string {
  const { milliseconds, flops, bytes } = kernel;
  const speed = milliseconds === undefined || milliseconds === 0 ? "" : (flops / milliseconds / 1e6).toFixed(2);
  return `<tr><td>${step}</td><td><a href="#kernel-${step}">${escape(kernel.name)}</a></td>
<td class="bar"><span style="width:${percent(share)}"></span>${percent(share)}</td>
<td>${milliseconds === undefined ? "" : milliseconds.toFixed(3)}</td><td>${speed}</td><td>${formatCount(flops)}</td><td>${formatBytes(bytes)}</td>
<td>${bytes === 0 ? "" : (flops / bytes).toFixed(2)}</td><td>${kernel.operands.map((b) => `b${b}`).join(" ")} &rarr; ${kernel.results.map((b) => `b${b}`).join(" ")}</td></tr>`;
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
function memoryMap({ kernels, buffers, slots }: Explanation): string {
  const total = slots.reduce((sum, bytes) => sum + bytes, 0);
  if (kernels.length === 0 || total === 0) return "<p>No temporaries.</p>";
  const [width, height] = [900, 360];
  const slotStart = slots.map((_, slot) => slots.slice(0, slot).reduce((sum, bytes) => sum + bytes, 0));
  const rectangles = buffers.flatMap((buffer, number) => {
    if (buffer.role !== "temporary" || buffer.slot === undefined || buffer.offset === undefined) return [];
    const touching = kernels.flatMap(({ operands, results }, step) =>
      results.includes(number) || operands.includes(number) ? [step] : [],
    );
    const [first, last] = [touching[0], touching.at(-1)];
    if (first === undefined || last === undefined) return [];
    const x = (first / kernels.length) * width;
    const y = (((slotStart[buffer.slot] ?? 0) + buffer.offset) / total) * height;
    const w = ((last - first + 1) / kernels.length) * width;
    const h = Math.max(0.5, ((buffer.length * 4) / total) * height);
    const title = `b${number}: ${buffer.dtype} x ${buffer.length} (${formatBytes(buffer.length * 4)}), steps ${first} to ${last}`;
    const hue = (number * 137) % 360;
    return [
      `<rect x="${x.toFixed(1)}" y="${y.toFixed(1)}" width="${w.toFixed(1)}" height="${h.toFixed(1)}" fill="hsl(${hue} 55% 70%)"><title>${title}</title></rect>`,
    ];
  });
  return `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="temporaries over time">${rectangles.join("\n")}</svg>
<p class="note">${formatBytes(total)} of temporaries in ${slots.length} ${slots.length === 1 ? "arena" : "slots"}; each rectangle is a buffer: steps to the right, addresses downwards.</p>`;
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
  const cost = costOf(kernels);
  const total = kernels.reduce((sum, kernel) => sum + cost.of(kernel), 0);
  const milliseconds = kernels.reduce((sum, kernel) => sum + (kernel.milliseconds ?? 0), 0);
  const flops = kernels.reduce((sum, kernel) => sum + kernel.flops, 0);
  const rows = kernels.map((kernel, step) => kernelRow(kernel, step, total === 0 ? 0 : cost.of(kernel) / total));
  const buffers = explanation.buffers.map(
    ({ dtype, length, role, slot, offset }, b) =>
      `<tr><td>b${b}</td><td>${dtype}</td><td>${length}</td><td>${formatBytes(length * 4)}</td><td>${role}</td><td>${slot ?? ""}</td><td>${offset ?? ""}</td></tr>`,
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escape(title)}</title><style>${style}</style></head><body>
<h1>${escape(title)}</h1>
<p>${escape(explanation.device)}. ${kernels.length} kernels, ${formatCount(flops)} flops a run${milliseconds > 0 ? `, ${milliseconds.toFixed(2)} ms measured kernel by kernel` : ""}, ${formatBytes(explanation.bytes)} held on the device.</p>
<h2>Kernels</h2>
<table><tr><th>step</th><th>kernel</th><th>${cost.label}</th><th>ms</th><th>GFLOP/s</th><th>flops</th><th>bytes</th><th>flops/byte</th><th>buffers</th></tr>
${rows.join("\n")}</table>
<h2>Dispatches</h2>
${explanation.dispatches === undefined ? "" : `<pre>${escape(describeDispatches(explanation.dispatches).join("\n"))}</pre>`}
<h2>Memory</h2>
${explanation.memory === undefined ? "" : `<pre>${escape(describeMemory(explanation.memory).join("\n"))}</pre>`}
${memoryMap(explanation)}
<details><summary>${buffers.length} buffers</summary><table><tr><th></th><th>dtype</th><th>elements</th><th>bytes</th><th>role</th><th>slot</th><th>offset</th></tr>
${buffers.join("\n")}</table></details>
<h2>Graph, pass by pass</h2>
${explanation.passes.map(({ name, nodes, text }) => `<details><summary>${escape(name)}: ${nodes} nodes</summary><pre>${escape(text)}</pre></details>`).join("\n")}
<h2>Kernel by kernel</h2>
${kernels.map(kernelSection).join("\n")}
</body></html>
`;
}
