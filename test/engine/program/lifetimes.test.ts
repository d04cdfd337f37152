import assert from "node:assert/strict";
import { after, before, describe, it, mock } from "node:test";
import fc from "fast-check";
import {
  compile,
  createDevice,
  createState,
  type Device,
  type ErrorCode,
  EvenkeelError,
  full,
  type PendingResult,
  readResults,
  reduceSum,
  type State,
  type Tensor,
  tensor,
} from "../../../engine/index.ts";
import { isSequential, type Outcome, outcomeOf, settle } from "../../support/interleave.ts";
import { ReferenceDevice } from "../../../testing/devices/referenceDevice.ts";
import { failing, functionsOn, type Functions, lazyLeaf, leaf, type Leaves, only, table } from "./statefulFunctions.ts";
import { type Fault, type Operation, type ScheduledDevice, scheduledDevice } from "../../support/scheduledDevice.ts";

type Values = readonly [a: number, b: number];

/** What is asked of one state and the functions that use it. */
type Request =
  | { readonly kind: "step" | "advance" | "begin"; readonly row: number; readonly more: number }
  | { readonly kind: "badStep" }
  /** Of what was begun so far and isn't read yet. */
  | { readonly kind: "readBegun" | "readOneBegun" | "disposeBegun" }
  | { readonly kind: "read" | "readPart" | "call" | "disposeState" | "disposeFunctions" | "lose" | "abort" }
  | { readonly kind: "write" | "writeLazy"; readonly values: Values }
  | { readonly kind: "writeFailing" };

const requests: fc.Arbitrary<Request> = fc.oneof(
  {
    weight: 9,
    arbitrary: fc.record({ kind: fc.constantFrom("step", "advance", "begin"), row: fc.nat(2), more: fc.nat(2) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom("readBegun", "readOneBegun", "disposeBegun") }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("badStep" as const) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom("read", "call", "readPart", "disposeFunctions") }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom("disposeState", "disposeState", "lose", "abort") }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom("write", "writeLazy"),
      values: fc.tuple(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 50 })),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("writeFailing" as const) }) },
);

const faults: fc.Arbitrary<Fault> = fc.record({
  operation: fc.constantFrom<Operation>("allocate", "upload", "move", "download", "compile", "run", "half"),
  call: fc.nat(12),
});

/** A step that was begun, and what its result turned out to be. */
type Begun = { readonly pending: PendingResult<Tensor>; told: number | undefined; isDisposed: boolean };

/** Reads results together, the last first. */
async function readBegun(begun: readonly Begun[]): Promise<void> {
  const results = await readResults(begun.toReversed().map(({ pending }) => pending));
  for (const [i, each] of begun.toReversed().entries()) {
    const told = await results[i]?.item();
    assert.ok(each.told === undefined || each.told === told);
    each.told = told;
  }
}

/** Does what is asked and gives the numbers that came of it. @param begun where steps that are begun are noted. */
async function perform(
  request: Request,
  state: State<Leaves>,
  { step, call, abort }: Functions,
  device: ScheduledDevice,
  begun: Map<Request, Begun> = new Map(),
): Promise<readonly number[]> {
  const index = (row: number): Tensor => tensor(Int32Array.of(row));
  switch (request.kind) {
    case "step":
      return [await (await step(state, index(request.row), request.more)).item()];
    case "advance":
      await step.advance(state, index(request.row), request.more);
      return [];
    case "begin": {
      const pending = await step.begin(state, index(request.row), request.more);
      begun.set(request, { pending, told: undefined, isDisposed: false });
      return [];
    }
    case "readBegun":
      await readBegun([...begun.values()]);
      return [];
    case "readOneBegun":
      await readBegun([...begun.values()].slice(-1));
      return [];
    case "disposeBegun":
      for (const each of begun.values()) {
        each.isDisposed = true;
        each.pending.dispose();
      }
      return [];
    case "badStep":
      await step(state, index(7), 0);
      return [];
    case "read": {
      const { a, b } = await state.read();
      return [await only(a), await only(b)];
    }
    case "readPart": {
      const [b, again] = await state.read((s) => [s.b, s.b] as const);
      assert.equal(b, again);
      return [await only(b)];
    }
    case "call":
      return [await only(await call(state))];
    case "write":
    case "writeLazy": {
      const of = request.kind === "write" ? leaf : lazyLeaf;
      await state.write({ a: of(request.values[0]), b: of(request.values[1]) });
      return [];
    }
    case "writeFailing":
      await state.write({ a: leaf(77), b: failing() });
      return [];
    case "disposeState":
      state.dispose();
      return [];
    case "disposeFunctions":
      step.dispose();
      call.dispose();
      return [];
    case "lose":
      device.lose();
      return [];
    case "abort":
      abort();
      return [];
  }
}

/** What a state is. */
type Model = { readonly values: Values | "broken"; readonly isDisposed: boolean; readonly isAborted: boolean };
/** `told` is what a step that was begun turned out to give. */
type Event = {
  readonly request: Request;
  readonly outcome: Outcome<readonly number[]>;
  readonly told?: number | undefined;
};

/** Codes of what fails by itself. */
const failures: readonly ErrorCode[] = ["kernel", "memory", "device"];

/** What a request may leave, if its outcome is this one. */
function possible(
  model: Model,
  { request, outcome, told }: Event,
  fired: ReadonlySet<Operation | "lost">,
): readonly Model[] {
  const { values, isDisposed, isAborted } = model;
  // Results that are read or disposed of say nothing of the state.
  if (request.kind === "disposeBegun") return [model];
  if (request.kind === "readBegun" || request.kind === "readOneBegun") {
    return outcome.kind === "value" || outcome.code === "disposed" || fired.has("download") || fired.has("lost")
      ? [model]
      : [];
  }
  const isStep =
    request.kind === "step" || request.kind === "advance" || request.kind === "begin" || request.kind === "badStep";
  const isWrite = request.kind === "write" || request.kind === "writeLazy" || request.kind === "writeFailing";
  if (outcome.kind === "error") {
    if (outcome.code === "aborted") return isAborted && isStep ? [model] : [];
    if (outcome.code === "disposed") return isDisposed ? [model] : [];
    if (outcome.code === "state") return values === "broken" && !isWrite ? [model] : [];
    const fails = request.kind === "badStep" || request.kind === "writeFailing";
    if (outcome.code === "value" ? !fails : !failures.includes(outcome.code) || fired.size === 0) return [];
    const broken: Model = { ...model, values: "broken" };
    // What had failed before anything of the state was written leaves it.
    const late: readonly (Operation | "lost")[] = isStep
      ? ["half", "run", "move", "download", "lost"]
      : ["upload", "lost"];
    const mayBreak =
      (request.kind === "badStep" && outcome.code === "value") ||
      ((isStep || isWrite) && outcome.code !== "value" && late.some((operation) => fired.has(operation)));
    return mayBreak ? [model, broken] : [model];
  }
  if (request.kind === "disposeState") return [{ ...model, isDisposed: true }];
  if (request.kind === "abort") return [{ ...model, isAborted: true }];
  if (request.kind === "disposeFunctions" || request.kind === "lose") return [model];
  if (isDisposed || request.kind === "badStep" || request.kind === "writeFailing") return [];
  if (request.kind === "write" || request.kind === "writeLazy") return [{ ...model, values: request.values }];
  if (values === "broken") return [];
  const [a, b] = values;
  const is = (...expected: readonly number[]): boolean => isEqual(outcome.value, expected);
  switch (request.kind) {
    case "read":
      return is(a, b) ? [model] : [];
    case "readPart":
      return is(b) ? [model] : [];
    case "call":
      return is(2 * a + b) ? [model] : [];
    case "step":
    case "advance":
    case "begin": {
      const next: Values = [a + (table[request.row] ?? NaN) + request.more, b + a];
      const isRight = request.kind === "step" ? is(next[0]) : told === undefined || told === next[0];
      return isRight ? [{ ...model, values: next }] : [];
    }
  }
}

const isEqual = (got: readonly number[], expected: readonly number[]): boolean =>
  got.length === expected.length && got.every((value, i) => value === expected[i]);

describe("lifetimes", async () => {
  const real = { oracle: await createDevice("oracle"), wasm: await createDevice("wasm", { wasm: { threads: 1 } }) };
  before(() => mock.method(console, "warn", () => undefined));
  after(() => {
    mock.restoreAll();
    for (const device of Object.values(real)) device.dispose();
  });
  const inners: readonly (readonly [name: string, make: () => Device, runs: number])[] = [
    ["devices that update in place", () => new ReferenceDevice("arena"), 150],
    ["devices that don't", () => new ReferenceDevice("slots"), 60],
    ["wasm", () => real.wasm, 60],
    ["oracle", () => real.oracle, 60],
  ];

  for (const [name, makeInner, runs] of inners) {
    it(`on ${name} whatever happens to a state could have happened one after the other, or is a named error`, async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.scheduler(),
          fc.array(requests, { minLength: 1, maxLength: 6 }),
          fc.array(faults, { maxLength: 2 }),
          async (scheduler, list, planned) => {
            const inner = makeInner();
            const memory = inner.memory();
            const pause = (what: string) => scheduler.schedule(Promise.resolve(), what);
            const device = scheduledDevice(inner, pause, planned);
            const functions = functionsOn(device);
            const made = await settle(
              scheduler,
              outcomeOf(createState<Leaves>({ a: leaf(1), b: lazyLeaf(2) }, device)),
            );
            if (made.kind === "error") {
              assert.ok(device.fired.size > 0, made.code);
            } else {
              const state = made.value;
              const begun = new Map<Request, Begun>();
              const settled = await settle(
                scheduler,
                Promise.all(
                  list.map(async (request): Promise<Event> => {
                    await pause(request.kind);
                    return { request, outcome: await outcomeOf(perform(request, state, functions, device, begun)) };
                  }),
                ),
              );
              device.calm();
              // What was begun can be read as long as there is the device, whatever became of state and functions.
              for (const each of begun.values()) {
                const outcome = await settle(scheduler, outcomeOf(readBegun([each])));
                if (device.usable && !each.isDisposed) assert.equal(outcome.kind, "value");
              }
              const outcomes = settled.map((event) => ({ ...event, told: begun.get(event.request)?.told }));
              const read: Request = { kind: "read" };
              const end = {
                request: read,
                outcome: await settle(scheduler, outcomeOf(perform(read, state, functions, device))),
              };
              const next = (model: Model, event: Event) => possible(model, event, device.fired);
              assert.ok(
                isSequential<Model, Event>(
                  { values: [1, 2], isDisposed: false, isAborted: false },
                  outcomes,
                  next,
                  (model) => next(model, end).length > 0,
                ),
                `${JSON.stringify([...outcomes, end])}\n${fc.stringify(scheduler)}`,
              );
              // Heals, unless it can't be reached any more.
              if (device.usable && !outcomes.some(({ request }) => request.kind === "disposeState")) {
                await settle(scheduler, state.write({ a: leaf(5), b: leaf(6) }));
                assert.deepEqual(await settle(scheduler, perform(read, state, functions, device)), [5, 6]);
              }
              state.dispose();
              for (const { pending } of begun.values()) pending.dispose();
            }
            functions.step.dispose();
            functions.call.dispose();
            assert.deepEqual(device.violations, []);
            assert.equal(device.held, 0, "something is not given back");
            // A task of the device's own may still be due.
            await settle(scheduler, Promise.resolve());
            assert.deepEqual(inner.memory(), memory);
          },
        ),
        { numRuns: runs },
      );
    });
  }

  it("calls of more shapes than are kept, meanwhile disposed of: each gives its result, or the fault; nothing stays", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.array(
          fc.oneof(
            { weight: 6, arbitrary: fc.integer({ min: 1, max: 5 }) },
            { weight: 1, arbitrary: fc.constant("dispose" as const) },
          ),
          {
            minLength: 2,
            maxLength: 12,
          },
        ),
        fc.integer({ min: 1, max: 3 }),
        fc.array(faults, { maxLength: 2 }),
        async (scheduler, list, cacheSize, planned) => {
          const pause = (what: string) => scheduler.schedule(Promise.resolve(), what);
          const device = scheduledDevice(new ReferenceDevice("arena"), pause, planned);
          const sum = compile((x: Tensor) => reduceSum(x), { device, cacheSize });
          const call = async (size: number): Promise<number> => (await sum(full([size], 2))).item();
          await settle(
            scheduler,
            Promise.all(
              list.map(async (size) => {
                await pause(String(size));
                if (size === "dispose") {
                  sum.dispose();
                  return;
                }
                const outcome = await outcomeOf(call(size));
                if (outcome.kind === "value") assert.equal(outcome.value, 2 * size);
                else assert.ok(failures.includes(outcome.code) && device.fired.size > 0, outcome.code);
              }),
            ),
          );
          assert.ok(sum.programs <= cacheSize);
          // A failure is not remembered.
          device.calm();
          for (const size of [1, 2, 3, 4, 5]) assert.equal(await settle(scheduler, call(size)), 2 * size);
          sum.dispose();
          assert.deepEqual(device.violations, []);
          assert.equal(device.held, 0, "something is not given back");
        },
      ),
      { numRuns: 150 },
    );
  });

  /** A state of ones and twos on a device that may be told to fail, and what uses it. */
  const prepared = async (inner: Device, pause: (what: string) => Promise<void> = () => Promise.resolve()) => {
    const pauses = { pause };
    const device = scheduledDevice(inner, (what) => pauses.pause(what));
    const state = await createState<Leaves>({ a: leaf(1), b: leaf(2) }, device);
    const functions = functionsOn(device);
    const ask = (request: Request): Promise<readonly number[]> => perform(request, state, functions, device);
    const end = (): void => {
      state.dispose();
      functions.step.dispose();
      functions.call.dispose();
      assert.deepEqual([device.held, device.violations], [0, []]);
    };
    return { device, state, ask, end, pauses };
  };
  const step: Request = { kind: "step", row: 0, more: 0 };
  const read: Request = { kind: "read" };
  const coded = (code: ErrorCode, message = /./) => ({ code, message });

  it("a state that a failure left half new refuses to be used, with the failure as the cause, until it is written", async () => {
    const { device, state, ask, end } = await prepared(real.wasm);
    const breaks: readonly (readonly [Request, Fault | undefined, ErrorCode])[] = [
      [{ kind: "badStep" }, undefined, "value"],
      [step, { operation: "half", call: 0 }, "kernel"],
      [{ kind: "advance", row: 0, more: 0 }, { operation: "half", call: 0 }, "kernel"],
      [step, { operation: "download", call: 0 }, "device"],
      [{ kind: "write", values: [3, 4] }, { operation: "upload", call: 1 }, "device"],
    ];
    for (const [request, fault, code] of breaks) {
      if (fault !== undefined) device.fail(fault);
      await assert.rejects(ask(request), coded(code));
      device.calm();
      for (const use of [step, read, { kind: "call" } as const]) {
        await assert.rejects(ask(use), (error: unknown) => {
          assert.ok(error instanceof EvenkeelError);
          assert.equal(error.code, "state");
          assert.match(error.message, /partly old and partly new: a (step|write) before failed.*Write the state/);
          assert.ok(error.cause instanceof EvenkeelError && error.cause.code === code);
          return true;
        });
      }
      await state.write({ a: leaf(1), b: lazyLeaf(2) });
      assert.deepEqual(await ask(read), [1, 2]);
    }
    end();
  });

  it("a failure before anything was written leaves the state as it was", async () => {
    for (const inner of [real.wasm, real.oracle]) {
      const { device, ask, end } = await prepared(inner);
      const harmless: readonly (readonly [Request, Fault | undefined, ErrorCode])[] = [
        [step, { operation: "compile", call: 0 }, "kernel"],
        [step, { operation: "allocate", call: 0 }, "memory"],
        [step, { operation: "upload", call: 0 }, "device"],
        [{ kind: "write", values: [3, 4] }, { operation: "upload", call: 0 }, "device"],
        [{ kind: "writeFailing" }, undefined, "value"],
        [{ kind: "writeLazy", values: [3, 4] }, { operation: "run", call: 0 }, "kernel"],
        [{ kind: "writeLazy", values: [3, 4] }, { operation: "compile", call: 0 }, "kernel"],
        [read, { operation: "download", call: 0 }, "device"],
      ];
      for (const [request, fault, code] of harmless) {
        if (fault !== undefined) device.fail(fault);
        await assert.rejects(ask(request), coded(code));
        device.calm();
        assert.deepEqual(await ask(read), [1, 2]);
      }
      assert.deepEqual(await ask(step), [101]);
      assert.deepEqual(await ask(read), [101, 3]);
      end();
    }
  });

  it("what nothing is updated in place by, no failure breaks", async () => {
    const { device, ask, end } = await prepared(real.oracle);
    for (const operation of ["run", "half", "download"] as const) {
      device.fail({ operation, call: 0 });
      await assert.rejects(ask(step), coded(operation === "download" ? "device" : "kernel"));
      device.calm();
      assert.deepEqual(await ask(read), [1, 2]);
    }
    await assert.rejects(ask({ kind: "badStep" }), coded("value"));
    assert.deepEqual(await ask(read), [1, 2]);
    end();
  });

  it("a state that is disposed of during a run keeps its memory until the run is over", async () => {
    const { state, ask, end, pauses } = await prepared(real.wasm);
    pauses.pause = async (what) => {
      if (what === "run") state.dispose();
    };
    assert.deepEqual(await ask(step), [101]);
    pauses.pause = () => Promise.resolve();
    for (const use of [step, read, { kind: "call" } as const, { kind: "write", values: [1, 1] } as const]) {
      await assert.rejects(ask(use), coded("disposed", /State has been disposed of/));
    }
    end();
  });

  it("createState frees what it had allocated if it fails", async () => {
    for (const operation of ["allocate", "upload", "compile", "run", "half"] as const) {
      const device = scheduledDevice(real.wasm, () => Promise.resolve(), [
        { operation, call: operation === "allocate" ? 1 : 0 },
      ]);
      await assert.rejects(createState({ a: leaf(1), b: lazyLeaf(2) }, device));
      assert.equal(device.fired.size, 1);
      assert.deepEqual([device.held, device.violations], [0, []]);
    }
    const device = scheduledDevice(real.wasm, () => Promise.resolve());
    await assert.rejects(createState({ a: leaf(1), b: failing() }, device), coded("value"));
    assert.deepEqual([device.held, device.violations], [0, []]);
  });

  it("calls that were begun before their function was disposed of leave no program behind", async () => {
    const device = scheduledDevice(new ReferenceDevice("arena"), () => Promise.resolve());
    const sum = compile((x: Tensor) => reduceSum(x), { device });
    const pending = sum(full([3], 2));
    sum.dispose();
    assert.equal(await (await pending).item(), 6);
    assert.deepEqual([device.held, sum.programs], [0, 0]);
  });
});
