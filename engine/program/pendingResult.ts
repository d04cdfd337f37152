/** Results of steps that were begun and not waited for. */
import type { Device, DeviceBuffer } from "../devices/device.ts";
import { EvenkeelError } from "../errors.ts";
import type { TensorData } from "../graph/dtype.ts";
import type { Program } from "./program.ts";

type Outcome<Result> =
  | { readonly kind: "value"; readonly value: Result }
  | { readonly kind: "error"; readonly reason: unknown };

/**
 * The result of one run of a step, on the device until it is read. It stays what it is, whatever becomes of the state, the step and
 * the runs after it. Owns device memory until then: read it or dispose of it.
 */
export class PendingResult<Result> {
  /** Where it was computed. */
  readonly device: Device;
  readonly #program: Program;
  readonly #resultOf: (values: readonly TensorData[]) => Result;
  /** Undefined once they are given back. */
  #buffers: readonly DeviceBuffer[] | undefined;
  #outcome: Outcome<Result> | undefined;
  #disposed = false;

  /** @internal @param buffers reserved of the program, and filled. @param resultOf makes the result of the values in them. */
  constructor(program: Program, buffers: readonly DeviceBuffer[], resultOf: (values: readonly TensorData[]) => Result) {
    this.device = program.device;
    this.#program = program;
    this.#buffers = buffers;
    this.#resultOf = resultOf;
  }

  /**
   * The result: waits for the device the first time, and remembers it. To read several, `readResults` waits once.
   * @throws EvenkeelError `value` if the run met a NaN on its way into an integer or an index out of range: the state has gone on all the
   * same; `disposed` after `dispose`; `device`, `disposed` if the device is gone.
   */
  async read(): Promise<Result> {
    const [result] = await readResults<[Result]>([this]);
    return result;
  }

  /** Frees what it has on the device, after the reading at hand; readings that wait are refused. Idempotent. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.device.queue.tidy(() => this.#release());
  }

  /** @internal What is to be downloaded; undefined if it was read. @throws EvenkeelError `disposed` */
  get unread(): readonly DeviceBuffer[] | undefined {
    if (this.#disposed) {
      throw new EvenkeelError("disposed", "this result of a step has been disposed of, and can't be read any more.");
    }
    return this.#buffers;
  }

  /** @internal Remembers what was downloaded. In a task of the device's queue. */
  take(data: readonly TensorData[]): void {
    try {
      this.#outcome = { kind: "value", value: this.#resultOf(this.#program.checked(data)) };
    } catch (reason) {
      this.#outcome = { kind: "error", reason };
    }
    this.#release();
  }

  /** @internal What was read. */
  get result(): Result {
    const outcome = this.#outcome;
    if (outcome?.kind === "value") return outcome.value;
    throw outcome === undefined ? new Error("the result was not read") : outcome.reason;
  }

  #release(): void {
    const buffers = this.#buffers;
    this.#buffers = undefined;
    if (buffers !== undefined) this.#program.release(buffers);
  }
}

/**
 * The results of several runs, of one step or of different ones, which come in one readback: the device is waited for once. What
 * `PendingResult.read` gave before isn't fetched again.
 * @param pending of one device; in any order.
 * @throws EvenkeelError as `PendingResult.read`, the first of them in this order (the others can be read all the same); `device` if they
 * are on different devices.
 * @example
 * ```ts
 * const state = await createState(scalar(1));
 * const double = compileStep((x: Tensor) => ({ state: x.multiply(2), result: x }));
 * const begun = [await double.begin(state), await double.begin(state)] as const;
 * const [first, second] = await readResults(begun);
 * console.log(await first.item(), await second.item()); // 1 2
 * double.dispose();
 * state.dispose();
 * ```
 */
export async function readResults<const Results extends readonly unknown[]>(
  pending: {
    readonly [I in keyof Results]: PendingResult<Results[I]>;
  },
): Promise<Results> {
  const all: readonly PendingResult<unknown>[] = pending;
  const device = all[0]?.device;
  if (all.some((each) => each.device !== device)) {
    throw new EvenkeelError(
      "device",
      "readResults: the results are on different devices. Read those of each device by themselves.",
    );
  }
  const unread = (): PendingResult<unknown>[] => [...new Set(all)].filter((each) => each.unread !== undefined);
  if (device !== undefined && unread().length > 0) {
    await device.queue.run(async () => {
      // A reading before this one may have fetched some of them.
      const wanted = unread().map((each) => ({ each, buffers: each.unread ?? [] }));
      const data = await device.download(wanted.flatMap(({ buffers }) => buffers));
      for (const { each, buffers } of wanted) each.take(data.splice(0, buffers.length));
    });
  }
  return all.map((each) => each.result) as unknown as Results;
}
