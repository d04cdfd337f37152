/** What is told of pictures that are left out because they can't be read. */
export const damagedPictures =
  "pictures that are damaged, locked, packed in an unknown way, of real numbers or too large to decode (--strict stops at the first and says why)";
