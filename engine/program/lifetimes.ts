/**
 * The rules of lifetimes: who owns what, what may happen meanwhile, and what a failure leaves. Each row is a law of
 * `test/engine/program/lifetimes`, which tries it over random interleavings.
 *
 * | who             | owns                                                                | is freed                                             |
 * |-----------------|---------------------------------------------------------------------|------------------------------------------------------|
 * | tensor          | nothing; remembers its values once they are computed                | -                                                    |
 * | program         | its executable; buffers of host arguments and of results            | by whoever compiled it                               |
 * | compiled fn     | the programs in its cache                                           | program by program: evicted or disposed of, and      |
 * |                 |                                                                     | the last call that uses it is over                   |
 * | state           | the buffers of its leaves and their spares                          | `dispose`, after the run at hand                     |
 * | device          | all memory; what is allocated on it lives no longer than it         | by whoever made it; shared ones by `disposeDevices`  |
 *
 * | what may happen meanwhile                | what comes of it                                                            |
 * |------------------------------------------|-----------------------------------------------------------------------------|
 * | anything on one device                   | runs, reads, writes are tasks of its queue; each sees the state whole       |
 * | a program is evicted, a function         | calls in flight end as if nothing had happened; their program goes when     |
 * | disposed of, during calls                | the last of them is over                                                    |
 * | a state is disposed of                   | what has its turn ends; what waits is refused: `disposed`                   |
 * | the caller changes a tree it has given   | nothing: calls, `createState` and `write` take what it holds when asked     |
 * | a device is disposed of or lost          | what runs or waits is refused: `disposed`, `device`; `getDevice` makes a    |
 * |                                          | new one, functions compile again for it, states are gone with theirs        |
 *
 * | what fails                               | what it leaves                                                              |
 * |------------------------------------------|-----------------------------------------------------------------------------|
 * | tracing, compiling, computing a tensor   | nothing: the next call tries again                                          |
 * | `createState`                            | nothing: what it had allocated is freed                                     |
 * | fetching an argument or a tensor to      | states as they were                                                         |
 * | write; uploading an argument             |                                                                             |
 * | a step: kernel, runtime check, reading   | the state as it was if the program writes no leaf in place; else broken     |
 * | its result                               |                                                                             |
 * | a step that its signal aborts            | the state as it was, or the step is finished                                |
 * | `State.write`, uploading                 | the state as it was if the first leaf was refused; else broken              |
 * | a broken state                           | every use is refused: `state`, with the cause; `write` heals it             |
 */
import type { Device } from "../devices/device.ts";

const numbers = new WeakMap<Device, number>();
let devices = 0;

/** A number that no other device has: two devices of one name are two devices. */
export function deviceNumber(device: Device): number {
  let number = numbers.get(device);
  if (number === undefined) numbers.set(device, (number = devices++));
  return number;
}
