/** What tests do in a page or its workers before the lab's own scripts run. Each stands for itself: it is sent as text. */

/** A browser without service workers. */
export function withoutServiceWorkers(): void {
  Reflect.deleteProperty(Navigator.prototype, "serviceWorker");
}

/** A browser that asks nobody where a file goes: it downloads what is saved. */
export function withoutDialogues(): void {
  Reflect.deleteProperty(globalThis, "showSaveFilePicker");
}

/** A worker that has no WebGPU. */
export function withoutWebgpu(): void {
  const { WorkerNavigator: own } = globalThis as unknown as {
    readonly WorkerNavigator: { readonly prototype: object };
  };
  Reflect.deleteProperty(own.prototype, "gpu");
}

/** A worker that can keep no checkpoint: there is no room. */
export function withFullStorage(): void {
  type Create = (this: FileSystemFileHandle, ...given: unknown[]) => Promise<unknown>;
  const handle = FileSystemFileHandle.prototype as unknown as { createWritable: Create };
  const create = handle.createWritable;
  handle.createWritable = function (...given) {
    if (this.name.startsWith("training-state")) throw new DOMException("no room", "QuotaExceededError");
    return create.apply(this, given);
  };
}

/** A worker that knows its GPU, for `destroyDevice`. */
export function withKnownDevice(): void {
  type Request = (this: unknown, ...given: unknown[]) => Promise<unknown>;
  const { GPUAdapter: adapter } = globalThis as unknown as {
    readonly GPUAdapter?: { readonly prototype: { requestDevice: Request } };
  };
  if (adapter === undefined) return;
  const request = adapter.prototype.requestDevice;
  adapter.prototype.requestDevice = async function (...given) {
    const device = await request.apply(this, given);
    Object.assign(globalThis, { lastDevice: device });
    return device;
  };
}

/** Takes the GPU away from such a worker. */
export function destroyDevice(): void {
  (globalThis as { readonly lastDevice?: { destroy(): void } }).lastDevice?.destroy();
}
