/** The address of the emoji data set, packed: `build/bundledData.ts` makes it. */
declare module "virtual:evenkeel/emoji16" {
  const address: string;
  export default address;
}
