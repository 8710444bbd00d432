/** 20 or 32 bytes: 0x and lower-case hex. */
export type HexText = `0x${string}`

/** What the top of the file says. */
export type TopSettings = {
  /** The data directory, absolute; also read as `covenantSigner.dataDir`. Default: the user's data folder. */
  readonly dataDir: string | undefined
  /** Allow a data directory on a FUSE file system. Default: false. */
  readonly allowFuse: boolean
}

/** A pinned depositor or custodian as written; the covenant room's `parseTrustRoots` judges it. */
export type ScopedRoot = {
  readonly route: string
  readonly reserve: string
  readonly network: string
  readonly publicKey: string
}

/** A pinned depositor as written. */
export type DepositorRootSetting = ScopedRoot & { readonly ethAddress?: string | undefined }

/** A quote issuer's key as written. */
export type QuoteRootSetting = { readonly keyId: string; readonly publicKeyPem: string }

/** The three lists of trust roots as written: what the covenant room's `parseTrustRoots` takes. */
export type TrustRootLists = {
  readonly migrationPlanQuoteTrustRoots: readonly QuoteRootSetting[]
  readonly depositorTrustRoots: readonly DepositorRootSetting[]
  readonly custodianTrustRoots: readonly ScopedRoot[]
}

/** `[covenantSigner]`: keep-core's keys under keep-core's names, and four of ours. */
export type CovenantSignerSettings = TrustRootLists & {
  /** 0 to 65535; default 0: the service is off. */
  readonly port: number
  /** Default 127.0.0.1; blank is the default too. */
  readonly listenAddress: string
  /** Token of clients; '' switches the check off, which only a loopback listener may. */
  readonly authToken: string
  /** Token of the certificate route. */
  readonly adminAuthToken: string
  /** Ours: file that `authToken` is read from. */
  readonly authTokenFile: string | undefined
  /** Ours: file that `adminAuthToken` is read from. */
  readonly adminAuthTokenFile: string | undefined
  /** Default: false. */
  readonly enableSelfV1: boolean
  /** Missing trust roots refuse the start; they do so on every address but loopback. Default: false. */
  readonly requireApprovalTrustRoots: boolean
  /** Without it nothing is signed; only together with `ethereum.bridgeAddress`. Default: false. */
  readonly bridgeCovenantFraudDefenseConfirmed: boolean
  /** 0 to 1 000 000; default 0, which stands for 6. */
  readonly minActiveOutpointConfirmations: number
  /** Default: 0. */
  readonly eip712ChainId: bigint
  /** 32 bytes; `undefined` is the default salt, which does not tell deployments apart. */
  readonly eip712Salt: HexText | undefined
  /** Ours: signers that a certificate needs; 1 to 255, default 51. */
  readonly honestThreshold: number
}

/** `[ethereum]`: what is ours in a section that keep-core has too. */
export type EthereumSettings = {
  /** 20 bytes: the Bridge whose covenant fraud defence was confirmed, and that wallets are read from. */
  readonly bridgeAddress: HexText | undefined
  /** JSON-RPC over http or https, asked in this order. Without any, and without `bitcoin.sources`, nothing is signed. */
  readonly endpoints: readonly string[]
  /** Chain that every endpoint must be on; default 1. */
  readonly chainId: bigint
  /** Default 10 000, 1 to 600 000. */
  readonly requestTimeoutMs: number
  /** How long the wallet registry is waited for; default 2000, 1 to 600 000. */
  readonly registryTimeoutMs: number
}

/** A Bitcoin node or Electrum server as written. */
export type BitcoinSourceSetting = {
  /** `http://HOST:PORT` or `https` for a Core-style node, `tcp://HOST:PORT` or `ssl` for an Electrum server. */
  readonly url: string
  readonly user?: string | undefined
  /** File that holds the password of `user`. */
  readonly passwordFile?: string | undefined
  /** SHA-256 of the one certificate that an `ssl` server may show: 64 hex digits; without it the usual checks hold. */
  readonly fingerprint?: string | undefined
}

/** `[bitcoin]`: what is ours in a section that keep-core has too. */
export type BitcoinSettings = {
  /** Network that every source must be on; default mainnet. */
  readonly network: (typeof bitcoinNetworkNames)[number]
  /** Asked in this order. */
  readonly sources: readonly BitcoinSourceSetting[]
  /** Highest fee of a covenant that is signed, in satoshis; default 1 000 000. */
  readonly feeSatsMax: bigint
  /** Default 10 000, 1 to 600 000. */
  readonly requestTimeoutMs: number
}

/** The Bitcoin networks that can be signed for. */
export const bitcoinNetworkNames = ['mainnet', 'testnet', 'regtest'] as const

/** `[admin]`: the listener for operators. */
export type AdminSettings = {
  /** 0 to 65535; default 9703; 0 is off. */
  readonly port: number
  /** Default: 127.0.0.1. */
  readonly listenAddress: string
  /** Holds the admin token, made at first start. Default: `admin-token` in the data directory. */
  readonly tokenFile: string | undefined
}

/** `[ledger]` */
export type LedgerSettings = {
  /** File on another disk that gets the ledger's head. */
  readonly witnessPath: string | undefined
}

/** `[vault]`: where the daemon gets the passphrase from; at most one. */
export type VaultSettings = {
  readonly passphraseFile: string | undefined
  /** Name of a systemd credential. */
  readonly credential: string | undefined
  /** Open descriptor that was handed over; 3 to 1023. */
  readonly fd: number | undefined
}

/** `[limits]`: whole numbers; times in milliseconds. */
export type LimitSettings = {
  /** How long the submit that created a job waits for the runner; default 20 000, 0 to 600 000. */
  readonly submitWaitMs: number
  /** How long one call may work before its job exists; default 300 000, 1 to 3 600 000. */
  readonly callMs: number
  /** How long one try of a job may take; default 300 000, 1 to 3 600 000. */
  readonly attemptMs: number
  /** How long a job waits for its wallet in one try; default 30 000, 1 to 3 600 000. */
  readonly walletWaitMs: number
  /** Jobs that are tried at one time; default 64, 1 to 4096. */
  readonly inFlightMax: number
  /** The first wait after a passing fault; default 1000, 1 to 3 600 000. */
  readonly retryMinMs: number
  /** The longest wait after passing faults; default 300 000, `retryMinMs` to 86 400 000. */
  readonly retryMaxMs: number
  /** How often a job's next try may be brought forward; default 1000, 0 to 3 600 000. */
  readonly nudgeEveryMs: number
  /** How long a stop lets signatures in flight go on; default 10 000, 0 to 600 000. */
  readonly stopMs: number
  /** Submits and certificate calls at once; default 5, 1 to 1 000 000. */
  readonly submitCapacity: number
  /** Until one of them is allowed again; default 12 000, 1 to 86 400 000. */
  readonly submitRefillMs: number
  /** Polls at once; default 60, 1 to 1 000 000. */
  readonly pollCapacity: number
  /** Until one of them is allowed again; default 1000, 1 to 86 400 000. */
  readonly pollRefillMs: number
}

/** The levels of the daemon's log, least first. */
export const logLevels = ['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const

/** `[log]` */
export type LogSettings = {
  /** Default: info. */
  readonly level: (typeof logLevels)[number]
}

/** The sections of the file. */
export type SectionSettings = {
  readonly covenantSigner: CovenantSignerSettings
  readonly ethereum: EthereumSettings
  readonly bitcoin: BitcoinSettings
  readonly admin: AdminSettings
  readonly ledger: LedgerSettings
  readonly vault: VaultSettings
  readonly limits: LimitSettings
  readonly log: LogSettings
}

/** Every setting, with defaults filled in. */
export type Settings = TopSettings & SectionSettings
