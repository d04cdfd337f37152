/** A batch on the host: images [N, C, H, W] in -1..1 and label vectors [N, labelDim]. */
export type HostBatch = { readonly images: Float32Array; readonly labels: Float32Array | null };
