/** Bounds on everything that could grow: one place per number. */

/** Largest gap limit a caller may ask for (addresses). */
export const gapLimitMax: number = 1000
/** Account indices a caller may ask for in one registration. */
export const accountsMax: number = 256
/** Registrations, unloads and loads waiting for one wallet id. */
export const queuedPerWalletMax: number = 1024
/** Bytes of one stored blob. */
export const blobBytesMax: number = 16 * 1024 * 1024
/** Bytes of one secret before it is sealed. */
export const secretBytesMax: number = 8176
/** Bytes of one vault file; a larger one is refused before it is read. */
export const vaultFileBytesMax: number = 64 * 1024
/** Files in the vault folder. */
export const vaultFilesMax: number = 100_000
/** Milliseconds SQLite waits for another writer. */
export const busyTimeoutMs: number = 5000
/** Milliseconds the directory lock helper may take before it counts as failed. */
export const lockHelperTimeoutMs: number = 10_000
