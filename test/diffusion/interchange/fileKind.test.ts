import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, describe, it } from "node:test";
import { readSnapshot } from "../../../diffusion/snapshot/node.ts";
import { foreignKind, foreignWeights } from "../../../diffusion/interchange/index.ts";
import { EvenkeelError } from "../../../engine/index.ts";
import { writeSafetensors } from "../../../engine/io/node.ts";
import { referenceFolder } from "../ema/referenceFiles.ts";

const folder = mkdtempSync(path.join(tmpdir(), "evenkeel-kinds-"));
after(() => {
  rmSync(folder, { recursive: true });
});

const bytes = (text: string): Uint8Array => Buffer.from(text, "latin1");

async function refusal(name: string, content: Uint8Array): Promise<string> {
  const file = path.join(folder, name);
  writeFileSync(file, content);
  try {
    await readSnapshot(file);
  } catch (reason) {
    assert.ok(reason instanceof EvenkeelError, String(reason));
    assert.equal(reason.code, "file");
    return reason.message;
  }
  return assert.fail(`${name} was read`);
}

describe("files of other programs", () => {
  it("are named as what they are, whatever their names say", async () => {
    const zip = "PK\u0003\u0004\u0014\0\0\0\0\0\0\0\0\0\0\0";
    const kinds: readonly (readonly [content: string, kind: RegExp])[] = [
      ["", /is empty/],
      [`${zip}archive/data.pkl`, /torch\.save .*save_file/],
      [`${zip}model/.format_version`, /torch\.save/],
      [`${zip}x.npy`, /\.npz/],
      [`${zip}model.weights.h5`, /Keras/],
      ["\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", /before PyTorch 1\.6/],
      [`${"\0".repeat(257)}ustar`, /tar archive/],
      ["\x89HDF\r\n\x1a\n", /HDF5/],
      ["GGUF\x03\0\0\0", /GGUF/],
      ["\x93NUMPY\x01\0", /NumPy array/],
      ["\x1f\x8b\x08", /gzip/],
      ["version https://git-lfs.github.com/spec/v1\noid sha256:0\n", /git lfs pull/],
      ["\n<!DOCTYPE html><title>404</title>", /web page/],
      ["<HTML>", /web page/],
      ["\0\0\0\0TFL3", /TensorFlow Lite/],
      ["\x89PNG\r\n", /PNG picture/],
      ["\xef\xbb\xbf<!doctype html>", /web page/],
      ["\0".repeat(1000), /nothing but zeros\. Was its download interrupted\? Expected/],
      ["Entry not found", /is a text, which begins with "Entry not found"\. Expected/],
    ];
    for (const [content, kind] of kinds) {
      for (const name of ["a.safetensors", "a.pkl", "a.bin"]) {
        assert.match(await refusal(name, bytes(content)), kind, `${name} ${JSON.stringify(content)}`);
      }
    }
    for (const name of ["a.pt", "a.pth", "a.ckpt", "a.PT"])
      assert.match(await refusal(name, bytes(zip)), /torch\.save/);
    assert.match(await refusal("a.onnx", bytes("\x08\x07")), /ONNX/);
    assert.match(await refusal("a.bin", bytes("\x10\0\0\0\0\0\0\0{}")), /Give it the ending \.safetensors/);
    assert.match(await refusal("a.txt", bytes("whatever")), /expected a network as \.safetensors or \.pkl/);
  });

  it("that aren't there, or are folders", async () => {
    mkdirSync(path.join(folder, "run.safetensors"));
    mkdirSync(path.join(folder, "run.pkl"));
    for (const name of ["run.safetensors", "run.pkl", "."]) {
      await assert.rejects(readSnapshot(path.join(folder, name)), /is a folder\. Name the file in it that is meant\.$/);
    }
    for (const name of ["none.safetensors", "none.pkl", "none"]) {
      await assert.rejects(readSnapshot(path.join(folder, name)), /there is no such file or folder/);
    }
  });

  it("whose endings are written in capitals are read as any other", async () => {
    const pickle = readFileSync(path.join(referenceFolder, "network-snapshot-0008388-0.100.pkl"));
    const file = path.join(folder, "NET.PKL");
    writeFileSync(file, pickle);
    assert.equal((await readSnapshot(file)).weights.size, 63);
  });

  it("leave their own errors to files that are of the kind", async () => {
    const pickle = readFileSync(path.join(referenceFolder, "network-snapshot-0008388-0.100.pkl"));
    assert.match(await refusal("cut.pkl", pickle.subarray(0, 5000)), /cut\.pkl: a length of \d+ is beyond the end/);
    assert.equal(foreignKind(pickle.subarray(0, 4096), "a.pkl"), "a Python pickle");
    assert.equal(foreignKind(bytes("whatever"), "a.txt"), null);
  });

  it("EDM's networks (2022) by their class, also where their pickle can't be read", async () => {
    assert.match(
      await refusal("edm.pkl", bytes("\x80\x04\x8c\x0aEDMPrecond.")),
      /network of EDM \(2022\), of the class EDMPrecond/,
    );
  });

  it("weights without a header by the names of their arrays", async () => {
    const names: readonly (readonly [name: string, whose: RegExp])[] = [
      ["down_blocks.0.resnets.0.conv1.weight", /diffusers/],
      ["model.diffusion_model.input_blocks.0.0.weight", /Stable Diffusion/],
      ["unet.enc.64x64_conv.weight", /EDM2's weights, without the configuration/],
    ];
    for (const [name, whose] of names) {
      assert.match(foreignWeights([name]) ?? "", whose);
      const file = path.join(folder, "foreign.safetensors");
      await writeSafetensors(file, { [name]: { dtype: "F32", shape: [1], data: Float32Array.of(1) } });
      await assert.rejects(readSnapshot(file), whose);
    }
    assert.equal(foreignWeights(["w"]), null);
  });
});
