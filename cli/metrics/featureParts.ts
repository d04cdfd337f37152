/** Features in files, so that several processes can make them: a part of a set each, made once, whoever makes it. */
import { join } from "node:path";
import type { FeatureExtractor } from "../../diffusion/metrics/index.ts";
import { type Shard, takeShard } from "../../diffusion/sample/index.ts";
import { EvenkeelError } from "../../engine/index.ts";
import { makeFolder, readSafetensors, writeSafetensors } from "../../engine/io/node.ts";
import { exists } from "../exists.ts";
import { keepPlan } from "../keepPlan.ts";
import { unlessTaken } from "../shards/unitLock.ts";
import type { OnImages, PictureSource } from "./pictureSource.ts";

/** Batches of pictures in a part, whatever the number of shards. */
const batchesInPart = 8;

export type FeaturePartsOptions = {
  readonly folder: string;
  readonly extractor: FeatureExtractor;
  /** Pictures that go through the extractor at once. */
  readonly batch: number;
  /** What decides the pictures: parts of other ones can't be mixed with these. */
  readonly plan: Readonly<Record<string, unknown>>;
  readonly print: (line: string) => void;
  readonly onImages: OnImages;
};

/** A range of the pictures of one set, and its file. */
type Part = { readonly path: string; readonly source: PictureSource; readonly from: number; readonly to: number };

export class FeatureParts {
  readonly #options: FeaturePartsOptions;

  private constructor(options: FeaturePartsOptions) {
    this.#options = options;
  }

  /** Makes the folder, or checks that it is of the same pictures and features. @throws EvenkeelError as `keepPlan` */
  static async open(options: FeaturePartsOptions): Promise<FeatureParts> {
    const { folder, extractor, batch, plan } = options;
    const { name, fingerprint } = extractor;
    await makeFolder(folder);
    await keepPlan("metrics", join(folder, "features.json"), { features: name, fingerprint, batch, ...plan });
    return new FeatureParts(options);
  }

  /** Makes a share of the parts of all sets; disposes of them. */
  async makeShare(sources: readonly PictureSource[], shard: Shard): Promise<void> {
    const { print, onImages } = this.#options;
    const own = takeShard(
      sources.flatMap((source, set) => this.#partsOf(source, set)),
      shard,
    );
    const total = own.reduce((sum, { from, to }) => sum + to - from, 0);
    let done = 0;
    try {
      for (const part of own) {
        if (!(await exists(part.path))) await unlessTaken(part.path, print, () => this.#make(part));
        done += part.to - part.from;
        onImages(part.source.name, done, total);
      }
    } finally {
      for (const source of sources) source.dispose();
    }
    print(
      `${own.length} parts of the features, ${total} pictures: the same command without --shard makes the rest, and measures`,
    );
  }

  /**
   * Vectors of a set, part by part in their order: those that are there, and the others made.
   * @throws EvenkeelError `file` if another process is at one of them
   */
  async *vectors(source: PictureSource, set: number): AsyncGenerator<Float32Array, void, undefined> {
    const parts = this.#partsOf(source, set);
    await this.#tellMissing(source.name, parts);
    for (const part of parts) {
      const isThere = await exists(part.path);
      if (!isThere && (await unlessTaken(part.path, this.#options.print, () => this.#make(part))) === null) {
        throw new EvenkeelError(
          "file",
          `metrics: another process is at ${part.path}. Give the same command again when it has ended.`,
        );
      }
      yield await this.#read(part);
    }
  }

  async #tellMissing(name: string, parts: readonly Part[]): Promise<void> {
    let missing = 0;
    for (const { path } of parts) if (!(await exists(path))) missing += 1;
    if (missing === 0 || missing === parts.length) return;
    this.#options.print(`${name}: ${missing} of ${parts.length} parts of the features are missing and made now`);
  }

  #partsOf(source: PictureSource, set: number): readonly Part[] {
    const { folder, batch } = this.#options;
    const size = batchesInPart * batch;
    return Array.from({ length: Math.ceil(source.count / size) }, (_, i) => {
      const [from, to] = [i * size, Math.min((i + 1) * size, source.count)];
      return { path: join(folder, `set${set}-${String(from).padStart(8, "0")}.safetensors`), source, from, to };
    });
  }

  /** @returns true */
  async #make({ path, source, from, to }: Part): Promise<true> {
    const { extractor, batch } = this.#options;
    const { dimension } = extractor;
    const vectors = new Float32Array((to - from) * dimension);
    let offset = 0;
    for await (const { pixels, shape } of source.pictures(from, to, batch)) {
      const part = await extractor.extract(pixels, shape);
      vectors.set(part, offset);
      offset += part.length;
    }
    await writeSafetensors(path, { features: { dtype: "F32", shape: [to - from, dimension], data: vectors } });
    return true;
  }

  async #read({ path, from, to }: Part): Promise<Float32Array> {
    const { dtype, shape, data } = (await readSafetensors(path)).tensor("features");
    if (dtype === "F32" && shape.join() === [to - from, this.#options.extractor.dimension].join()) return data;
    throw new EvenkeelError("file", `${path} is damaged. Remove it, and it is made anew.`);
  }
}
