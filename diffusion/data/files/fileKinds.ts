import { isLabelFile } from "./labelFile.ts";
import { outsideOfClasses, withoutLabel, withoutNameClass } from "./labels.ts";

/**
 * What a file is to a data set, by its name. `what` says, for a user, what such files are and what to do with them.
 * - picture: can be decoded, whatever its size and depth
 * - idx: images or labels of MNIST's kind; array: of NumPy; both may hold a whole data set
 * - labels: describes the images
 * - otherPicture: shows something, but not to us; nobody leaves these out gladly
 * - other: holds no picture of the set
 */
export type FileKind =
  | { readonly kind: "picture" | "idx" | "array" | "labels" }
  | { readonly kind: "otherPicture" | "other"; readonly what: string };

/** Endings of pictures that are decoded. */
const pictureEndings = words(".png .jpg .jpeg .jpe .jfif .jif .jfi .pjpeg .pjp .webp .gif .tif .tiff .avif .bmp .dib");

const otherPictures: readonly (readonly [endings: ReadonlySet<string>, what: string])[] = [
  [
    words(".heic .heif .hif .heics .heifs .avci"),
    "HEIC pictures, whose codec (HEVC) isn't there; save them as JPEG, in a phone's settings or with heif-convert",
  ],
  [
    words(
      ".cr2 .cr3 .crw .nef .nrw .arw .srf .sr2 .srw .dng .raf .orf .rw2 .rwl .pef .ptx .x3f .3fr .fff .iiq .kdc .dcr .erf .mef .mos .mrw .raw",
    ),
    "raw photographs of cameras, which aren't developed here; save them as JPEG or PNG",
  ],
  [words(".jxl .jp2 .j2k .j2c .jpf .jpx .jpm"), "JPEG XL and JPEG 2000 pictures, which aren't read; save them as PNG"],
  [
    words(".svg .svgz .psd .psb .xcf .ai .eps .ps .pdf .kra .clip .sketch .afphoto"),
    "drawings and documents, which aren't read; save them as PNG",
  ],
  [
    words(
      ".ico .cur .icns .tga .pcx .ppm .pgm .pbm .pnm .pam .exr .hdr .dds .xbm .xpm .wbmp .jng .mng .qoi .flif .fits .fit .dcm .nii .mpo .wdp .jxr .iff .ras .sgi",
    ),
    "pictures of a kind that isn't read; save them as PNG",
  ],
  [
    words(".mp4 .mov .m4v .avi .mkv .webm .3gp .3g2 .mpg .mpeg .mts .m2ts .wmv .flv .ogv"),
    "films; take the pictures out of them first",
  ],
];

const others: readonly (readonly [endings: ReadonlySet<string>, what: string])[] = [
  [
    words(".zip .tar .gz .tgz .7z .rar .bz2 .tbz2 .xz .zst .lz4 .cab .iso .dmg"),
    "archives within; unpack them to have what they hold",
  ],
  [
    words(
      ".parquet .arrow .feather .tfrecord .tfrecords .h5 .hdf5 .hdf .mat .pkl .pickle .pt .pth .ckpt .safetensors .lmdb .mdb .db .sqlite .sqlite3 .rec .beton .bin .dat .npy.gz",
    ),
    "data of other programs; take the pictures out of them, as files or as an .npy of bytes [N, H, W, C]",
  ],
  [
    words(
      ".txt .md .rst .json .jsonl .csv .tsv .xml .yaml .yml .toml .ini .cfg .html .htm .log .xmp .aae .thm .url .py .ipynb .js .ts .sh .m .doc .docx .xls .xlsx .odt .rtf .tex .bib .mp3 .wav .m4a .ogg .flac .srt",
    ),
    "texts, tables and other files that hold no picture; labels come from dataset.json or folders, never from these",
  ],
];

/** Files whose name says nothing known. */
export const unknownFiles = "files whose ending is that of no picture";

/** Pictures by their first bytes under another name. */
export const misnamedPictures =
  "pictures inside (JPEG, PNG, GIF or WebP) with another ending; give them the right one to have them read";

/** What is told of files that show something and are left out all the same. */
export const lostPictures: ReadonlySet<string> = new Set([
  misnamedPictures,
  outsideOfClasses,
  withoutLabel,
  withoutNameClass,
  ...otherPictures.map(([, what]) => what),
]);

/** `train-images-idx3-ubyte`, `emnist-letters-test-labels.idx1-ubyte.gz`. */
const idxPattern = /(images?[-._]idx3|labels?[-._]idx1)[-._]?(ubyte)?(\.gz)?$/i;

const kindByEnding = new Map<string, FileKind>([
  ...[...pictureEndings].map((ending) => [ending, { kind: "picture" }] as const),
  ...[".npy", ".npz"].map((ending) => [ending, { kind: "array" }] as const),
  ...otherPictures.flatMap(([endings, what]) =>
    [...endings].map((ending) => [ending, { kind: "otherPicture", what }] as const),
  ),
  ...others.flatMap(([endings, what]) => [...endings].map((ending) => [ending, { kind: "other", what }] as const)),
]);

/** What a file is, by its name within its source. */
export function fileKindOf(file: string): FileKind {
  if (isLabelFile(file)) return { kind: "labels" };
  if (idxPattern.test(file)) return { kind: "idx" };
  return kindByEnding.get(endingOf(file)) ?? { kind: "other", what: unknownFiles };
}

/** Whether an IDX file holds images, by its name; else it holds labels. */
export function holdsIdxImages(file: string): boolean {
  return /images?[-._]idx3[-._]?(ubyte)?(\.gz)?$/i.test(file);
}

/** `.png` of `a/B.PNG`; nothing of `a/png`. */
export function endingOf(file: string): string {
  return /\.[^./]+$/.exec(file)?.[0].toLowerCase() ?? "";
}

/** Whether the first bytes are those of a picture that can be read. */
export function startsLikePicture(head: Uint8Array): boolean {
  const text = String.fromCharCode(...head.subarray(0, 12));
  const isWebp = text.startsWith("RIFF") && text.endsWith("WEBP");
  return isWebp || ["\xff\xd8\xff", "\x89PNG", "GIF87a", "GIF89a"].some((magic) => text.startsWith(magic));
}

/** What operating systems and programs leave among files: a file like this, or a folder with all that is in it. */
export function isLitter(name: string, isFolder: boolean): boolean {
  if (name.startsWith(".")) return true;
  if (isFolder) return /^(__MACOSX|@eaDir|\$RECYCLE\.BIN|System Volume Information|lost\+found)$/i.test(name);
  return /^(Thumbs\.db|ehthumbs(_vista)?\.db|desktop\.ini|Picasa\.ini|Icon\r|~\$.*|.*(~|\.tmp|\.part|\.crdownload))$/is.test(
    name,
  );
}

function words(text: string): ReadonlySet<string> {
  return new Set(text.split(" "));
}
