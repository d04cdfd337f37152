import type { DeviceName } from "../../../engine/index.ts";

/** What is an input in a file of a kind; everything else was computed, and must be compared. */
export const inputs: readonly (readonly [file: string, device: DeviceName, inputs: RegExp])[] = [
  ["edm2_primitives.safetensors", "oracle", /\/(x|a|b|G|freqs|phases|weight|gain|pixels_u8|latents)$/],
  ["edm2_blocks.safetensors", "oracle", /\/(x|emb|G|dropout_keep_mask|w\/.*)$/],
  [
    "edm2_unet_cond.safetensors",
    "wasm",
    /^(weights\/.*|class_labels|.*\/(x|noise_labels|sigma|images|rnd_normal|noise))$/,
  ],
  ["edm2_training_true_init.safetensors", "wasm", /^(init\/.*|steps\/(images|rnd_normal|noise|class_labels))$/],
  ["edm2_blocks_no_head.safetensors", "oracle", /\/(x|emb|G|w\/.*)$/],
  ["edm2_sampling.safetensors", "wasm", /^(g?net\/.*|class_labels|.*\/(noise|churn_noise))$/],
  [
    "edm2_scalars.safetensors",
    "oracle",
    new RegExp(
      [
        "ema/std_to_exp/std|ema/exp_to_std/exp|ema/beta/std_tnext_tdelta|ema/correlation/[ab]_.*|posthoc/.*/(in|out)_.*",
        "reconstruct/(theta|batch_size|snapshot_ofs|snapshot_std|out_ofs|out_std)|traditional_ema/halflife.*|lr/reflr.*",
        "precond/sigma|loss/(images|rnd_normal|noise|denoised|logvar)|latent_whitening/(raw_mean_std|noise|scale|bias)",
      ]
        .map((names) => `^(${names})$`)
        .join("|"),
    ),
  ],
  ["toy_mixture.safetensors", "wasm", /\/(phi|mu|Sigma|x|x_init)$|^toy_model\/(w\/.*|sigma)$/],
  ["network-snapshot-0008388-0.100.safetensors", "wasm", /^(weights\/.*|x|sigma|class_labels)$/],
  ["phema_chain.safetensors", "wasm", /^$/],
  [
    "edm_baseline_primitives.safetensors",
    "oracle",
    /^(?!.*resample_filter).*\/(x|emb|G|w\/.*|weight|bias|sigma|images|rnd_normal|noise|denoised)$(?<!loss\/sigma)/,
  ],
  [
    "edm_baseline_adm_unet.safetensors",
    "wasm",
    /^(?!.*resample_filter)(weights\/.*|class_labels|.*\/(x|noise_labels|sigma|images|rnd_normal|noise))$/,
  ],
];
