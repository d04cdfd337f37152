/** Where results of runs wait on the device until somebody reads them. */
import type { Signature } from "../devices/bindings.ts";
import type { Device, DeviceBuffer } from "../devices/device.ts";
import { EvenkeelError } from "../errors.ts";

/** Runs of a program whose results wait to be read, at most: what nobody reads doesn't fill the device. */
export const mostUnread = 256;

/** Buffers for the results of a program's runs that wait to be read: as many sets as ever waited at the same time. */
export class ResultBuffers {
  readonly #device: Device;
  readonly #kinds: Signature["output"];
  readonly #idle: (readonly DeviceBuffer[])[] = [];
  /** Sets that were handed out. */
  #waiting = 0;
  #disposed = false;

  constructor(device: Device, kinds: Signature["output"]) {
    this.#device = device;
    this.#kinds = kinds;
  }

  /**
   * A set that nobody else has. To be given back by `release`.
   * @throws EvenkeelError `value` if too many are out; `memory`
   */
  acquire(): readonly DeviceBuffer[] {
    if (this.#waiting >= mostUnread) {
      throw new EvenkeelError(
        "value",
        `compileStep: the results of ${mostUnread} runs wait to be read. Read them with readResults, or dispose of those that nobody wants, ` +
          "before more are begun.",
      );
    }
    const set = this.#idle.pop() ?? this.#allocate();
    this.#waiting++;
    return set;
  }

  /** Takes a set back. In a task of the device's queue: what was asked for before may still use it. */
  release(set: readonly DeviceBuffer[]): void {
    this.#waiting--;
    if (!this.#disposed) this.#idle.push(set);
    else for (const buffer of set) this.#device.free(buffer);
  }

  /** Frees what isn't out; the rest is freed when it is given back. Idempotent. */
  dispose(): void {
    this.#disposed = true;
    for (const set of this.#idle.splice(0)) for (const buffer of set) this.#device.free(buffer);
  }

  #allocate(): readonly DeviceBuffer[] {
    const set: DeviceBuffer[] = [];
    try {
      for (const { dtype, length } of this.#kinds) set.push(this.#device.allocate(dtype, length));
      return set;
    } catch (reason) {
      for (const buffer of set) this.#device.free(buffer);
      throw reason;
    }
  }
}
