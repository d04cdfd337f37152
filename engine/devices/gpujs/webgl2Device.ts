/** The device `webgl2` of pages: gpu.js draws each kernel's result into a texture, which stays on the GPU. */
import { EvenkeelError } from "../../errors.ts";
import type { DeviceTraits, KernelDevice } from "../device.ts";
import { javascriptOf } from "./kernelSource.ts";
import { isSoftwareName } from "./adapterSelection.ts";
import type { KernelSource } from "./kernelSource.ts";
import type { PublicBackend, PublicCompiled } from "./publicBackend.ts";
import { PublicCallDevice } from "./publicCallDevice.ts";
import { buildKernel, createGpu, flattenInto, type PublicGpu, type PublicKernel } from "./publicCalls.ts";
import { glslFunctions, glslPrototypes } from "./webgl2Functions.ts";

/**
 * A device on the page's WebGL2. Only for pages; one thread of the page feeds it.
 * @throws EvenkeelError `device` if there is no WebGL2, or no float textures to draw into.
 */
export async function createWebgl2Device(): Promise<KernelDevice> {
  return new PublicCallDevice(new Webgl2Backend());
}

/** gpu.js's handle of a texture. Its kernel reads it back and must outlive it. */
type Texture = { toArray(): unknown; delete(): void };
type Held = { readonly texture: Texture; readonly words: number; readonly kernel: DrawKernel };

/** What is used of the page's WebGL2RenderingContext. */
type RenderingContext = {
  readonly RENDERER: number;
  isContextLost(): boolean;
  finish(): void;
  getExtension(name: "WEBGL_debug_renderer_info"): { readonly UNMASKED_RENDERER_WEBGL: number } | null;
  getParameter(name: number): unknown;
};

/** Without an array of every length at hand gpu.js would compile an upload for each. */
const copySource: Pick<KernelSource, "name" | "source" | "functions"> = {
  name: "upload",
  source: "function kernel(a0) {\n  return a0[this.thread.x];\n}",
  functions: [],
};

/** Upload kernels kept, one per length. */
const uploadLimit = 64;

class Webgl2Backend implements PublicBackend<Held> {
  readonly mode = "webgl2";
  readonly description: string;
  readonly traits: DeviceTraits;
  readonly limits = {
    // 16 textures are all that WebGL2 promises; gpu.js uses the last one to make others.
    operands: 14,
    // Integers take two words; texture coordinates and shared dimensions are exact to 2^24 words.
    results: 1,
    arrays: Infinity,
    joins: "rows",
    elements: 2 ** 23,
    temporaries: "slots",
    overlap: false,
    batches: false,
    chains: false,
    inPlace: false,
    concurrency: 1,
    writtenInFours: null,
    factors: "stored",
    arithmetic: "scarce",
    layouts: "inOrder",
    scalars: 64,
    memory: Infinity,
  } as const;
  readonly #gpu: PublicGpu = createGpu("webgl2");
  readonly #uploads = new Map<number, DrawKernel>();

  constructor() {
    // The first kernel makes the context, and shows whether it works.
    const sample = Float32Array.of(1.5, -2.25, 3e-30);
    const held = this.store(sample, null);
    const got = this.load(held, sample.length);
    this.free(held);
    if (got.some((word, i) => word !== sample[i])) {
      throw new EvenkeelError(
        "device",
        `webgl2: float textures don't keep their values here (${[...sample].join(", ")} became ${[...got].join(", ")}). Use device wasm.`,
      );
    }
    const name = rendererOf(this.#context());
    this.description = `WebGL2 through gpu.js on ${name}`;
    const adapter = { name, isSoftware: isSoftwareName(name), limits: {}, features: [] };
    this.traits = { adapter, threads: 1, fusedMultiplyAdd: null };
  }

  get lost(): boolean {
    const context = this.#gpu.context as RenderingContext | null;
    return context !== null && context.isContextLost();
  }

  store(words: Float32Array, previous: Held | null): Held {
    this.#requireContext();
    if (previous !== null) this.free(previous);
    const kernel = this.#uploadKernel(words.length);
    return kernel.draw([words], words.length);
  }

  load({ texture, words }: Held, count: number): Float32Array {
    this.#requireContext();
    const all = new Float32Array(words);
    flattenInto(texture.toArray(), all);
    // A draw that the browser broke off for its length leaves zeros, and a lost context.
    this.#requireContext();
    return count === words ? all : all.slice(0, count);
  }

  free({ texture, kernel }: Held): void {
    texture.delete();
    kernel.release();
  }

  compile(source: KernelSource): PublicCompiled<Held> {
    this.#requireContext();
    const samples = source.operandWords.map(() => this.store(new Float32Array(1), null));
    try {
      const native = glslFunctions(source.functions);
      const kernel = buildKernel(
        this.#gpu,
        "webgl2",
        { ...source, functions: source.functions.filter(({ name }) => !native.some((other) => other.name === name)) },
        {
          ...drawSettings,
          argumentTypes: source.operandWords.map(() => "ArrayTexture(1)"),
          nativeFunctions: native,
          injectedNative: glslPrototypes(source.functions),
        },
        samples.map(({ texture }) => texture),
      );
      const draws = new DrawKernel(kernel);
      return {
        bytes: 4 * source.resultWords,
        run: (operands, previous) => {
          this.#requireContext();
          if (previous !== null) this.free(previous);
          return draws.draw(
            operands.map(({ texture }) => texture),
            source.resultWords,
          );
        },
        texts: () => [
          { language: "javascript", text: javascriptOf(source) },
          ...glslOf(kernel).map((text) => ({ language: "glsl", text })),
        ],
        dispose: () => draws.dispose(),
      };
    } finally {
      for (const sample of samples) this.free(sample);
    }
  }

  finish(): void {
    this.#context().finish();
    this.#requireContext();
  }

  dispose(): void {
    void this.#gpu.destroy();
  }

  #uploadKernel(length: number): DrawKernel {
    const known = this.#uploads.get(length);
    this.#uploads.delete(length);
    const kernel =
      known ??
      new DrawKernel(
        buildKernel(
          this.#gpu,
          "webgl2",
          { ...copySource, operandWords: [length], resultWords: length, output: [length, 1, 1] },
          { ...drawSettings, argumentTypes: ["Array"] },
          [new Float32Array(length)],
        ),
      );
    this.#uploads.set(length, kernel);
    for (const [oldest, idle] of this.#uploads) {
      if (this.#uploads.size <= uploadLimit) break;
      this.#uploads.delete(oldest);
      idle.dispose();
    }
    return kernel;
  }

  #context(): RenderingContext {
    return this.#gpu.context as RenderingContext;
  }

  #requireContext(): void {
    if (!this.lost) return;
    throw new EvenkeelError(
      "device",
      "webgl2: the WebGL context was lost: the driver was reset, or a draw took longer than the browser allows. " +
        "Its buffers are gone: dispose of the device, make a new one and upload again; split long kernels, or use device wasm.",
    );
  }
}

/** `tactic` is the shader's precision: gpu.js's own choice may be `lowp`, which phones take at its word. */
const drawSettings = { pipeline: true, immutable: true, dynamicArguments: true, tactic: "precision" } as const;

/** A kernel with a count of the textures it drew that are still held: gpu.js reads a texture through its kernel. */
class DrawKernel {
  readonly #kernel: PublicKernel;
  #held = 0;
  #disposed = false;

  constructor(kernel: PublicKernel) {
    this.#kernel = kernel;
  }

  draw(operands: readonly unknown[], words: number): Held {
    const texture = this.#kernel(...operands) as Texture;
    this.#held++;
    return { texture, words, kernel: this };
  }

  release(): void {
    this.#held--;
    this.#destroyIfIdle();
  }

  /** Destroys the kernel once nothing needs it. */
  dispose(): void {
    this.#disposed = true;
    this.#destroyIfIdle();
  }

  #destroyIfIdle(): void {
    if (this.#disposed && this.#held === 0) this.#kernel.destroy();
  }
}

function rendererOf(context: RenderingContext): string {
  const extension = context.getExtension("WEBGL_debug_renderer_info");
  const name: unknown = context.getParameter(extension?.UNMASKED_RENDERER_WEBGL ?? context.RENDERER);
  return String(name);
}

/** The fragment shader, where gpu.js shows it. */
function glslOf(kernel: PublicKernel): string[] {
  const { compiledFragmentShader: text } = kernel.kernel as { readonly compiledFragmentShader?: unknown };
  return typeof text === "string" ? [text] : [];
}
