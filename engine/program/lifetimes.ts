/**
 * The rules of lifetimes: who owns what, what may happen meanwhile, and what a failure leaves. Each row is a law of
 * `test/engine/program/lifetimes`, which tries it over random interleavings, or of `pendingResults` beside it.
 *
 * | who             | owns                                                                | is freed                                             |
 * |-----------------|---------------------------------------------------------------------|------------------------------------------------------|
 * | tensor          | nothing; remembers its values once they are computed                | -                                                    |
 * | program         | its executable; buffers of host arguments and of results            | by whoever compiled it                               |
 * | compiled fn     | the programs in its cache                                           | program by program: evicted or disposed of, and      |
 * |                 |                                                                     | the last call that uses it is over                   |
 * | state           | the buffers of its leaves and their spares                          | `dispose`, after the run at hand                     |
 * | pending result  | the buffers with what one run of a step gave                        | when it is read, or disposed of; its program takes   |
 * |                 |                                                                     | them for other runs, or frees them if it is gone     |
 * | device          | all memory; what is allocated on it lives no longer than it         | by whoever made it; shared ones by `disposeDevices`  |
 * | an arena        | the memory of buffers that were allocated together                  | with the last of them                                |
 *
 * | what may happen meanwhile                | what comes of it                                                            |
 * |------------------------------------------|-----------------------------------------------------------------------------|
 * | anything on one device                   | runs, reads, writes are tasks of its queue; each sees the state whole       |
 * | a program is evicted, a function         | calls in flight end as if nothing had happened; their program goes when     |
 * | disposed of, during calls                | the last of them is over                                                    |
 * | steps are begun, one after the other     | each has a result of its own, what that run gave, read in any order,        |
 * |                                          | many in one readback, whatever becomes of state and function                |
 * | results are read by nobody               | 256 runs of a program may wait: beginning one more is refused: `value`      |
 * | a result is disposed of                  | a reading that has its turn ends; what waits is refused: `disposed`         |
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
 * | reading what was begun: download         | nothing is lost, it can be read again; one of several that fails for itself |
 * |                                          | leaves the others                                                           |
 * | ... a runtime check of that run          | the state has gone on; every reading of that result is refused: `value`     |
 * | a step that its signal aborts            | the state as it was, or the step is finished                                |
 * | `State.write`, uploading                 | the state as it was if the first leaf was refused; else broken              |
 * | a broken state                           | every use is refused: `state`, with the cause; `write` heals it. If its     |
 * |                                          | device is gone, that is said instead                                        |
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
