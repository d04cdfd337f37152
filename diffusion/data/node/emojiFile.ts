/** An emoji's picture, 64x64 with transparency. */
export type EmojiFile = { readonly path: string; readonly category: string };
