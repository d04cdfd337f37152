/** What a run's folder calls its settings. */
export const settingsFileName = "settings.toml";
