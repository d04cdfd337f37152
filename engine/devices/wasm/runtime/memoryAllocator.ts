/** A range of free addresses. */
type FreeRange = { start: number; size: number };

/**
 * First-fit allocator of the addresses `[start, end)`. Free ranges are kept sorted and merged with their neighbours, so
 * that once everything is freed one range is left. Sizes and addresses are multiples of `alignment` bytes.
 */
export class Allocator {
  static readonly alignment = 64;

  readonly #free: FreeRange[] = [];
  readonly #taken = new Map<number, number>();
  #end: number;
  #takenBytes = 0;

  constructor(start: number, end: number) {
    this.#end = start;
    this.extend(end);
  }

  /** Bytes allocated and not freed. */
  get takenBytes(): number {
    return this.#takenBytes;
  }

  /** The free ranges, ascending. */
  get free(): readonly { readonly start: number; readonly size: number }[] {
    return this.#free.map(({ start, size }) => ({ start, size }));
  }

  /** Bytes that the address space must grow by before `bytes` fit. */
  missing(bytes: number): number {
    const size = roundUp(bytes);
    if (this.#free.some((range) => range.size >= size)) return 0;
    const last = this.#free.at(-1);
    return size - (last !== undefined && last.start + last.size === this.#end ? last.size : 0);
  }

  /** Adds the addresses from the current end to `end`. */
  extend(end: number): void {
    const start = this.#end;
    const size = Math.floor((end - start) / Allocator.alignment) * Allocator.alignment;
    if (size <= 0) return;
    this.#end = start + size;
    this.#release(start, size);
  }

  /** The address of `bytes` bytes, or null if no free range is large enough. */
  allocate(bytes: number): number | null {
    const size = roundUp(bytes);
    const index = this.#free.findIndex((range) => range.size >= size);
    const range = this.#free[index];
    if (range === undefined) return null;
    const address = range.start;
    range.start += size;
    range.size -= size;
    if (range.size === 0) this.#free.splice(index, 1);
    this.#taken.set(address, size);
    this.#takenBytes += size;
    return address;
  }

  /** Gives an allocated address back. Returns false if it is not allocated. */
  release(address: number): boolean {
    const size = this.#taken.get(address);
    if (size === undefined) return false;
    this.#taken.delete(address);
    this.#takenBytes -= size;
    this.#release(address, size);
    return true;
  }

  #release(start: number, size: number): void {
    let [low, high] = [0, this.#free.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#free[middle]?.start ?? Number.POSITIVE_INFINITY) < start) low = middle + 1;
      else high = middle;
    }
    this.#free.splice(low, 0, { start, size });
    this.#merge(low);
    this.#merge(low - 1);
  }

  /** Joins range `index` with the next one if they touch. */
  #merge(index: number): void {
    const [left, right] = [this.#free[index], this.#free[index + 1]];
    if (left === undefined || right === undefined || left.start + left.size !== right.start) return;
    left.size += right.size;
    this.#free.splice(index + 1, 1);
  }
}

/** The next multiple of the alignment, at least one: every allocation has an address of its own. */
function roundUp(bytes: number): number {
  return Math.max(1, Math.ceil(bytes / Allocator.alignment)) * Allocator.alignment;
}
