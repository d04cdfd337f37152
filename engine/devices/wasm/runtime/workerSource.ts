import { commands, control } from "./threadsControl.ts";

/**
 * What a worker runs, as plain JavaScript: it must start the same from TypeScript sources, from built files and from a
 * bundle, in Node (`eval`) and in a page (Blob), so it imports nothing of ours.
 *
 * Between runs it sleeps on the command word. It gets modules as messages, for which it has to leave that sleep.
 */
export const workerSource = `"use strict";
const node = typeof process !== "undefined" && process.versions && process.versions.node
  ? require("node:worker_threads") : null;
const port = node ? node.parentPort : self;
const word = (address) => address / 4;
const instances = new Map();
let words, memory, thread, threads, workers, reports, seen = 0;

function fail(error) {
  if (Atomics.compareExchange(words, word(${control.failed}), 0, 1) === 0) {
    const text = unescape(encodeURIComponent(error && error.stack ? error.stack : String(error)));
    const length = Math.min(text.length, ${control.reasonEnd - control.reason});
    const bytes = new Uint8Array(memory.buffer, ${control.reason}, length);
    for (let i = 0; i < length; i++) bytes[i] = text.charCodeAt(i);
    Atomics.store(words, word(${control.reasonLength}), length);
  }
  Atomics.store(words, word(${control.failed}), 2);
  Atomics.add(words, word(${control.barrier}), 1);
  Atomics.notify(words, word(${control.barrier}));
}

function run() {
  Atomics.add(words, word(${control.begun}), 1);
  try {
    const instance = instances.get(Atomics.load(words, word(${control.executable})));
    if (instance === undefined) throw new Error("the module was not loaded");
    instance.exports.run(thread, threads, words[word(${control.first})], words[word(${control.end})]);
  } catch (error) {
    fail(error);
  }
  if (Atomics.add(words, word(${control.done}), 1) + 1 === workers) {
    Atomics.notify(words, word(${control.done}));
    if (reports) port.postMessage({ kind: "done" });
  }
}

function obey() {
  for (;;) {
    const patience = words[word(${control.looks})];
    for (let looks = 0; looks < patience && Atomics.load(words, word(${control.command})) === seen; looks++);
    while (Atomics.load(words, word(${control.command})) === seen) Atomics.wait(words, word(${control.command}), seen);
    seen = Atomics.load(words, word(${control.command}));
    if (words[word(${control.kind})] === ${commands.listen}) return;
    run();
  }
}

function receive(message) {
  if (message.kind === "start") {
    ({ memory, thread, threads, workers, reports } = message);
    words = new Int32Array(memory.buffer, 0, ${control.reasonEnd / 4});
    seen = Atomics.load(words, word(${control.command}));
  } else {
    for (const id of message.drop) instances.delete(id);
    try {
      const stalled = () => (Atomics.load(words, word(${control.failed})) === 0 ? 0 : 1);
      instances.set(message.id, new WebAssembly.Instance(message.module, { env: { memory, stalled } }));
    } catch (error) {
      port.postMessage({ kind: "ready", error: String(error) });
      return obey();
    }
  }
  port.postMessage({ kind: "ready", error: null });
  obey();
}

if (node) port.on("message", receive);
else self.onmessage = (event) => receive(event.data);
`;
