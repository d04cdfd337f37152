/**
 * Safetensors files and 16-bit numbers, folders that lie anywhere, and how errors repeat what a file holds. Safe in a page; see `node.ts`
 * for folders of a disk.
 */
export { blobFile } from "./blobFile.ts";
export { blobFolder, type GivenFile, type GivenFolder } from "./blobFolder.ts";
export {
  bitsPerElement,
  bytesPerElement,
  type FileDataOf,
  type FileDType,
  fileDTypes,
  type ForeignDType,
  viewData,
} from "./fileDtype.ts";
export { clipText, describeIssues, isNestedDeeply, quoteText } from "./fileError.ts";
export {
  extensionOf,
  type FileSink,
  type Folder,
  isUnfinished,
  type OpenFile,
  readTextIfAny,
  readWhole,
  type StoredFile,
  writeText,
} from "./folder.ts";
export {
  decodeBfloat16,
  decodeFloat16,
  encodeBfloat16,
  encodeFloat16,
  fromBfloat16Bits,
  fromFloat16Bits,
  toBfloat16Bits,
  toFloat16Bits,
} from "./halfPrecision.ts";
export { memoryFolder } from "./memoryFolder.ts";
export { type OriginDirectoryHandle, type OriginFileHandle, originFolder } from "./originFolder.ts";
export { type OneFolder, oneFolder } from "./oneFolder.ts";
export { parseSafetensors, SafetensorsFile } from "./safetensors.ts";
export {
  type SafetensorsOptions,
  serializeSafetensors,
  type WritableData,
  type WritableDataOf,
  type WritableTensor,
} from "./safetensorsEncoding.ts";
export type { TensorEntry } from "./safetensorsHeader.ts";
export { readTensors, type TensorReader, withTensors } from "./safetensorsReader.ts";
export type { NamedEntries } from "./safetensorsLayout.ts";
export { type StoredTensor, type StoredTensorOf, toFloat32, toFloat64, toInt32, toUint32 } from "./storedTensor.ts";
export { type LazyTensor, writeTensors } from "./writeTensors.ts";
export { crc32 } from "./zip/crc32.ts";
export { ZipArchive } from "./zip/zipArchive.ts";
export type { NameGuess } from "./zip/entryName.ts";
export type { ZipEntry } from "./zip/zipDirectory.ts";
export { type WritableZipEntry, writeZip } from "./zip/writeZip.ts";
