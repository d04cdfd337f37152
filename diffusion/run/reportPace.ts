import { type Device, EvenkeelError } from "../../engine/index.ts";

/** Seconds of work on an adapter whose reports are read together: so late at most is what a run shows, and so late it hears of a signal. */
const togetherSeconds = 0.25;
/** Steps whose reports are read together, at most. To wait for an adapter costs less than a millisecond. */
const mostTogether = 64;

/** How many steps are begun before their reports are read. */
export class ReportPace {
  readonly #fixed: number | undefined;
  #steps = 1;
  #start = 0;

  /**
   * @param every so many; by default what suits the device.
   * @throws EvenkeelError `value` unless it is a whole number of at least 1
   */
  constructor(device: Device, every?: number) {
    if (every !== undefined && !(Number.isInteger(every) && every >= 1)) {
      throw new EvenkeelError("value", `reportEvery is ${every}, expected a whole number of at least 1.`);
    }
    this.#fixed = every ?? (device.traits.adapter === null ? 1 : undefined);
  }

  /** As many steps. */
  get steps(): number {
    return this.#fixed ?? this.#steps;
  }

  /** Before the first step that isn't reported. */
  begin(): void {
    this.#start = performance.now();
  }

  /** After the reports of so many steps were read. */
  read(steps: number): void {
    const seconds = (performance.now() - this.#start) / 1000 / steps;
    this.#steps = Math.min(mostTogether, Math.max(1, Math.floor(togetherSeconds / seconds)));
  }
}
