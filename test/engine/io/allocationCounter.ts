/**
 * Counts what code really allocates: every typed array or ArrayBuffer constructed with memory of its own, every `slice`
 * of one, and every string decoded from bytes or parsed from JSON (one byte a character if all are Latin-1, else two,
 * as V8 stores them). Garbage counts as well: these are sums, not peaks. Importing the code under test before or after
 * makes no difference, as it finds the constructors in the global scope when it runs. Views of existing memory count
 * nothing, nor do small objects such as entries and maps.
 */

type Constructor = new (...parameters: never[]) => ArrayBufferView | ArrayBuffer;

const names = [
  "ArrayBuffer",
  "Int8Array",
  "Uint8Array",
  "Int16Array",
  "Uint16Array",
  "Int32Array",
  "Uint32Array",
  "Float32Array",
  "Float64Array",
  "BigInt64Array",
  "BigUint64Array",
] as const;

export type Allocations = { readonly count: number; readonly totalBytes: number; readonly largestBytes: number };

/** Runs `action` (synchronous or not) and counts its allocations. Nothing else may run meanwhile. */
export async function countAllocations<T>(
  action: () => T | Promise<T>,
): Promise<{ result: T; allocations: Allocations }> {
  let [count, totalBytes, largestBytes] = [0, 0, 0];
  const record = (bytes: number) => {
    count++;
    totalBytes += bytes;
    largestBytes = Math.max(largestBytes, bytes);
  };
  const undo: (() => void)[] = [];
  const replace = <O extends object, K extends keyof O>(owner: O, key: K, value: O[K]) => {
    const before = Object.getOwnPropertyDescriptor(owner, key);
    if (before === undefined) throw new Error(`${String(key)} is not where it was expected`);
    Object.defineProperty(owner, key, { ...before, value });
    undo.push(() => Object.defineProperty(owner, key, before));
  };
  for (const name of names) {
    const original = globalThis[name] as unknown as Constructor;
    const counting = new Proxy(original, {
      construct(target, parameters, newTarget) {
        // Recorded before it happens: a request that fails counts as well.
        const first: unknown = parameters[0];
        const isView = name !== "ArrayBuffer" && (first instanceof ArrayBuffer || first instanceof SharedArrayBuffer);
        const elementBytes = "BYTES_PER_ELEMENT" in target ? Number(target.BYTES_PER_ELEMENT) : 1;
        if (typeof first === "number") record(first * elementBytes);
        const made = Reflect.construct(target, parameters, newTarget) as ArrayBufferView | ArrayBuffer;
        if (!isView && typeof first !== "number") record(made.byteLength);
        return made;
      },
    });
    replace(globalThis as unknown as Record<string, unknown>, name, counting);
  }
  const countCalls = <O extends object>(owner: O, key: keyof O, measure: (made: unknown) => number) => {
    const method: unknown = owner[key];
    if (typeof method !== "function") throw new Error(`${String(key)} is not a method`);
    const counting = new Proxy(method, {
      apply(target, self: unknown, parameters) {
        const made: unknown = Reflect.apply(target, self, parameters);
        record(measure(made));
        return made;
      },
    });
    replace(owner, key, counting as O[keyof O]);
  };
  countCalls(Object.getPrototypeOf(Uint8Array.prototype) as Uint8Array, "slice", (made) =>
    ArrayBuffer.isView(made) ? made.byteLength : 0,
  );
  countCalls(TextDecoder.prototype, "decode", (text) => (typeof text === "string" ? stringBytes(text) : 0));
  countCalls(JSON, "parse", (value) => (typeof value === "string" ? stringBytes(value) : 0));
  try {
    const result = await action();
    return { result, allocations: { count, totalBytes, largestBytes } };
  } finally {
    for (const restore of undo) restore();
  }
}

function stringBytes(text: string): number {
  return /[^\0-\xff]/.test(text) ? 2 * text.length : text.length;
}
