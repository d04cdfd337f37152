/** Turns what WebGPU reports late (loss, validation errors, memory that isn't there) into errors of the call at hand. */
import { EvenkeelError } from "../../errors.ts";
import { reasonOf } from "./adapterSelection.ts";

/** How long work that failed waits to hear that the device was lost. */
const lossMilliseconds = 1000;

export class DeviceHealth {
  readonly #device: GPUDevice;
  #lost: string | undefined;
  #reported: EvenkeelError | undefined;

  constructor(device: GPUDevice) {
    this.#device = device;
    void device.lost.then(({ reason, message }) => {
      this.#lost = [reason, message].filter((text) => text !== "").join(": ") || "unknown reason";
    });
  }

  get lost(): boolean {
    return this.#lost !== undefined;
  }

  /** Keeps an error that belongs to no call; the next call of `check` throws it. The first one counts. */
  report(error: EvenkeelError): void {
    this.#reported ??= error;
  }

  /** @throws EvenkeelError `device` once the device is lost; the reported error, once, if there is one. */
  check(): void {
    if (this.#lost !== undefined) {
      throw new EvenkeelError(
        "device",
        `webgpu: the device was lost (${this.#lost}). Its buffers are gone: dispose of it, make a new device and upload again.`,
      );
    }
    const reported = this.#reported;
    this.#reported = undefined;
    if (reported !== undefined) throw reported;
  }

  /** Waits for the GPU. A rejection becomes the reason of a loss, if the device was lost. */
  async settle<T>(work: Promise<T>, what: string): Promise<T> {
    let result: T;
    try {
      result = await work;
    } catch (cause) {
      // A destroyed device rejects pending work before it announces its loss: browsers, whose GPU is another process's, some time before.
      if (this.#lost === undefined) await this.#hearOfLoss();
      this.check();
      throw new EvenkeelError("device", `webgpu: ${what} failed: ${reasonOf(cause)}`, { cause });
    }
    this.check();
    return result;
  }

  /** Waits until the device is lost, or long enough to know that it isn't. */
  async #hearOfLoss(): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const isOver = new Promise((done) => (timer = setTimeout(done, lossMilliseconds)));
    await Promise.race([this.#device.lost, isOver]);
    clearTimeout(timer);
  }

  /** Runs `work` synchronously; errors of the given kind that WebGPU finds in it are told by the promise. */
  watch<T>(filter: GPUErrorFilter, work: () => T): { readonly result: T; readonly error: Promise<GPUError | null> } {
    this.#device.pushErrorScope(filter);
    try {
      const result = work();
      return { result, error: this.#popErrorScope() };
    } catch (error) {
      void this.#popErrorScope();
      throw error;
    }
  }

  #popErrorScope(): Promise<GPUError | null> {
    // Rejects only if the device is lost, which `check` tells.
    return this.#device.popErrorScope().catch(() => null);
  }
}
