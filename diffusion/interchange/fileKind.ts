/** What files of other programs are, by their first bytes: to say so where they can't be read. */

/** Bytes that tell a kind, at the beginning of a file. */
export const foreignHeadBytes = 4096;

/** How weights of PyTorch are made readable. */
const convertTorch =
  "Convert it where PyTorch is: safetensors.torch.save_file(torch.load(FILE, weights_only=True), 'FILE.safetensors')";

type Magic = { readonly bytes: readonly number[]; readonly what: string };

const ascii = (text: string): number[] => Array.from(text, (letter) => letter.charCodeAt(0));

/** Kinds that the first bytes tell at once. */
const magics: readonly Magic[] = [
  {
    bytes: [0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19],
    what: `a file of torch.save from before PyTorch 1.6. ${convertTorch}`,
  },
  { bytes: [0x89, ...ascii("HDF\r\n"), 0x1a, 0x0a], what: "an HDF5 file (Keras .h5)" },
  { bytes: ascii("GGUF"), what: "a GGUF file (llama.cpp)" },
  { bytes: [0x93, ...ascii("NUMPY")], what: "a NumPy array (.npy)" },
  { bytes: [0x1f, 0x8b], what: "compressed by gzip. Unpack it first" },
  { bytes: [0x28, 0xb5, 0x2f, 0xfd], what: "compressed by zstd. Unpack it first" },
  { bytes: [0xfd, ...ascii("7zXZ")], what: "compressed by xz. Unpack it first" },
  { bytes: ascii("BZh"), what: "compressed by bzip2. Unpack it first" },
  { bytes: [...ascii("7z"), 0xbc, 0xaf], what: "a 7-Zip archive. Unpack it first" },
  { bytes: ascii("Rar!"), what: "a RAR archive. Unpack it first" },
  { bytes: [0x89, ...ascii("PNG")], what: "a PNG picture" },
  { bytes: [0xff, 0xd8, 0xff], what: "a JPEG picture" },
  {
    bytes: ascii("version https://git-lfs"),
    what: "a pointer of Git LFS, which stands for a file that was not downloaded. Fetch it by `git lfs pull`",
  },
];

/**
 * What a file is, in words that go on from "is", with what can be done; null for what isn't known.
 * @param head its first bytes, {@link foreignHeadBytes} of them if it has as many.
 * @param name its name, of which the ending counts where the bytes don't tell.
 * @example console.log(foreignKind(new TextEncoder().encode("GGUF"), "weights.bin")); // a GGUF file (llama.cpp)
 */
export function foreignKind(head: Uint8Array, name: string): string | null {
  if (head.length === 0) return "empty. Was its download interrupted?";
  const magic = magics.find(({ bytes }) => bytes.every((byte, i) => head[i] === byte));
  if (magic !== undefined) return magic.what;
  if (head.every((byte) => byte === 0)) return "nothing but zeros. Was its download interrupted?";
  // Single bytes as characters: names within archives are found in it. Not the mark that some writers put before a text.
  const text = Array.from(head, (byte) => String.fromCharCode(byte))
    .join("")
    .replace(/^\u00ef\u00bb\u00bf/, "");
  if (text.startsWith("PK\u0003\u0004")) return zipKind(text) ?? kindOfEnding(name) ?? "a zip archive";
  if (/^\s*<(!doctype html|html|head|body)/i.test(text)) {
    return "a web page, as servers send it in the place of a file that isn't there or isn't yours. Download it again";
  }
  if (/^\s*<\?xml/.test(text)) return "an XML document";
  if (text.slice(257, 262) === "ustar")
    return "a tar archive, as torch.save made them in its first years. Unpack it, or convert it where PyTorch is";
  if (text.startsWith("TFL3", 4)) return "a TensorFlow Lite model";
  if (/^\s*[{[]/.test(text)) return "a JSON text";
  if (isSafetensors(head)) return "a safetensors file. Give it the ending .safetensors";
  if (head[0] === 0x80 && (head[1] ?? 0) >= 2 && (head[1] ?? 0) <= 5) return "a Python pickle";
  const words = /^[A-Za-z]\w*[,:.]?( [\w'",:.()-]+)+/.exec(text)?.[0];
  if (words !== undefined && /^[\t\n\r -~]*$/.test(text)) return `a text, which begins with "${words.slice(0, 80)}"`;
  return kindOfEnding(name);
}

function kindOfEnding(name: string): string | null {
  return endings.find(([ending]) => name.toLowerCase().endsWith(ending))?.[1] ?? null;
}

/** By their names alone: formats without bytes of their own. */
const endings: readonly (readonly [ending: string, what: string])[] = [
  [".onnx", "named as an ONNX model"],
  [".pb", "named as a TensorFlow graph"],
  [".msgpack", "named as weights of Flax"],
  ...[".pt", ".pth", ".ckpt", ".bin"].map(
    (ending) => [ending, `named as a file of torch.save. ${convertTorch}`] as const,
  ),
];

function zipKind(text: string): string | null {
  if (/\/(data\.pkl|byteorder|\.format_version)/.test(text))
    return `a file of torch.save (.pt, .pth, .ckpt). ${convertTorch}`;
  if (/\.npy/.test(text)) return "a NumPy archive (.npz)";
  return /model\.weights\.h5/.test(text) ? "a Keras model (.keras)" : null;
}

function isSafetensors(head: Uint8Array): boolean {
  if (head.length < 9) return false;
  const length = new DataView(head.buffer, head.byteOffset, 8).getBigUint64(0, true);
  return length < 100_000_000n && head[8] === 0x7b;
}

/** Names of weights that tell whose they are. */
const owners: readonly (readonly [names: RegExp, whose: string])[] = [
  [/^(down_blocks|up_blocks|mid_block|time_embedding|conv_in)\./, "weights of diffusers"],
  [/^(model\.diffusion_model|first_stage_model|cond_stage_model)\./, "a checkpoint of Stable Diffusion"],
  [/lora_(up|down|A|B)\b|\.lora\./, "a LoRA"],
  [/^(encoder|decoder|quant_conv|post_quant_conv)\./, "an autoencoder's weights"],
  [/^unet\.enc\.\d/, "EDM2's weights, without the configuration that says what network they are of"],
  [/^(model\.)?(enc|dec)\.\d+x\d+_/, "weights of EDM (2022)"],
];

/**
 * What a safetensors file without a header of Evenkeel's holds, as its tensors' names tell; null for what isn't known.
 * @example console.log(foreignWeights(["down_blocks.0.resnets.0.conv1.weight"])); // weights of diffusers
 */
export function foreignWeights(names: Iterable<string>): string | null {
  for (const name of names) {
    const found = owners.find(([form]) => form.test(name));
    if (found !== undefined) return found[1];
  }
  return null;
}
