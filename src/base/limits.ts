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
/** Entries in one list of trust roots. */
export const trustRootsMax: number = 4096
/** Bytes of one covenant request body; a longer one is malformed. */
export const covenantBodyBytesMax: number = 2_097_152
/** Brackets open at one time in a covenant request body; no record of a request nests deeper than 6. */
export const covenantBodyDepthMax: number = 64
/** Bytes of the wallet inventory; a larger one is refused before it is read. */
export const inventoryBytesMax: number = 512 * 1024 * 1024
/** Bytes of one ledger line with its line feed; a key is at most a request body, escaped. */
export const ledgerLineBytesMax: number = 8 * 1024 * 1024
/** Bytes of ledger lines that wait in memory while the disk takes none. */
export const ledgerPendingBytesMax: number = 64 * 1024 * 1024
/** Damaged places of a ledger that are told apart; further ones are added to the last. */
export const ledgerDamageMax: number = 1000
/** Milliseconds that closing waits for the ledger's witness on another disk. */
export const witnessCloseMs: number = 2000
/** Jobs whose tries and lapsed certificates are remembered between two tries. */
export const trackedJobsMax: number = 100_000
/** Sources of host-chain heights that are told apart. */
export const heightSourcesMax: number = 64
