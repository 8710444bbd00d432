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
/** Bytes of a request's header block on the compatible listener: 8192, and as much slack as the reference's runtime has. */
export const compatibleHeaderBytesMax: number = 8192 + 4096
/** Connections that are open at one time on the compatible listener. */
export const compatibleConnectionsMax: number = 4096
/** Requests of one connection that wait for their turn; beyond it the connection is not read on. */
export const pipelinedRequestsMax: number = 32
/** Bytes of a body that nobody wants and that are still read, so that the connection can be used again. */
export const unreadBodyBytesMax: number = 256 * 1024
/** Quarantined jobs that are told apart; beyond it one record stands for the others and no new key is taken. */
export const quarantineMax: number = 100_000
/** Milliseconds that a call waits for the ledger to be replayed after an opening. */
export const replayWaitMs: number = 10_000
/** Jobs or records in one answer of a list. */
export const listedMax: number = 10_000
/** Changes in one commit of the job store; more wait for the next turn of the event loop. */
export const jobBatchMax: number = 4096
/** Bytes of the configuration file; a larger one is refused before it is read. */
export const configFileBytesMax: number = 4 * 1024 * 1024
/** Bytes of a file that holds one token. */
export const tokenFileBytesMax: number = 8192
/** Bytes of one keep-core job file: a request body with every character escaped, and its result. */
export const keepCoreFileBytesMax: number = 16 * 1024 * 1024
/** Job files in a keep-core directory. */
export const keepCoreFilesMax: number = 2_000_000
/** Jobs that are read at one time when a store is exported. */
export const exportPageJobs: number = 256
/** Quarantined records that an export names. */
export const exportRecordsMax: number = 10_000
/** Bytes of log lines that wait for a reader; further lines are dropped and counted. */
export const logBacklogBytesMax: number = 1024 * 1024
/** Bytes of a Bitcoin transaction: the weight that a block may have, were all of it witness. */
export const bitcoinTransactionBytesMax: number = 4_000_000
/** Highest height of a Bitcoin block that is believed. */
export const bitcoinHeightMax: number = 0x7fff_ffff
/** Bytes of one answer of a Bitcoin node; the largest transaction written out in JSON stays below. */
export const bitcoinAnswerBytesMax: number = 32 * 1024 * 1024
/** Connections that are open at one time to one Bitcoin node. */
export const bitcoinConnectionsMax: number = 8
/** Milliseconds for which a Bitcoin node is taken to be on its network and synced without being asked again. */
export const bitcoinNodeCheckMs: number = 60_000
/** Blocks that a Bitcoin node may be behind the headers it has. */
export const bitcoinBlocksBehindMax: number = 6
/** Bitcoin sources that are asked one after the other. */
export const bitcoinSourcesMax: number = 8
/** Bytes of a Bitcoin node's cookie file. */
export const cookieFileBytesMax: number = 4096
/** Bytes of one line of an Electrum server: the largest transaction in hex, and slack. */
export const electrumLineBytesMax: number = 16 * 1024 * 1024
/** Requests to one Electrum server that wait for their answers. */
export const electrumPendingMax: number = 1024
/** Output scripts of one transaction whose histories are looked through. */
export const electrumScriptsMax: number = 32
/** Entries in one history or list of unspent outputs. */
export const electrumHistoryMax: number = 100_000
/** Transactions that are fetched to find the one that spends an output. */
export const electrumSpendersMax: number = 64
/** Milliseconds before a failed connection to an Electrum server is tried again: at first, and at most. */
export const electrumBackoffMs: number = 250
export const electrumBackoffMsMax: number = 30_000
/** Bytes of one answer of a host chain's endpoint; a block's list of transaction hashes is the longest. */
export const hostAnswerBytesMax: number = 2 * 1024 * 1024
/** Endpoints of a host chain. */
export const hostEndpointsMax: number = 64
/** Wallets whose last warning is remembered. */
export const warnedWalletsMax: number = 1024
/** Bytes of one answer of the admin listener: a whole keep-core file as hex and as text. */
export const adminAnswerBytesMax: number = 128 * 1024 * 1024
/** Milliseconds that the command line waits for an answer of the admin listener. */
export const adminAnswerMs: number = 60_000
/** The same while the daemon reads its whole store. */
export const adminVerifyMs: number = 3_600_000
