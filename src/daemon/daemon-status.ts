import type { Clock } from '../base/clock.js'
import type { Config } from '../config.js'
import type { CovenantService } from '../covenant/index.js'
import type { JobStore } from '../covenant/store.js'
import type { WalletManager } from '../wallet/manager.js'
import type { CompatibleListener } from './compatible.js'
import type { JobCensus } from './job-census.js'
import type { ListenAddress } from './listen.js'

/** How far the process is; whether a serving one is ready or degraded is what readiness finds. */
export type DaemonPhase = 'starting' | 'loading' | 'serving' | 'failed' | 'draining'

/** What turns requests into signatures here. */
export type EngineInfo = {
  readonly name: string
  /** False for the passive one, while the fraud defence is not confirmed, and without keys. */
  readonly signs: boolean
  /** Wallets that it holds a key of; absent for the passive one. */
  readonly wallets?: number
}

/** One look at something outside this process, such as a chain source. */
export type SourceCheck = {
  /** `ethereum` or `bitcoin` with whatever tells sources apart: `ethereum:1`. */
  readonly name: string
  readonly ok: boolean
  readonly detail: string
  readonly remedy: string
}

/** What the daemon has opened so far. */
export type Opened = {
  readonly jobs?: JobStore
  readonly census?: JobCensus
  readonly wallets?: Pick<WalletManager, 'loadAll' | 'list'>
  readonly service?: Pick<CovenantService, 'status'>
  readonly compatible?: Pick<CompatibleListener, 'address' | 'load'>
  readonly engine?: EngineInfo
  /** Looks at chain sources. */
  readonly checks?: () => Promise<readonly SourceCheck[]>
}

/** What the admin listener knows of the daemon from its first moment to its last. */
export interface DaemonStatus {
  readonly config: StatusConfig
  readonly startedAtMs: number
  phase(): { readonly phase: DaemonPhase; readonly sinceMs: number; readonly detail: string }
  enter(phase: DaemonPhase, detail?: string): void
  opened(): Opened
  /** Adds parts to what is opened. */
  add(parts: Opened): void
  /** Takes everything away that is about to be closed. */
  forget(): void
  adminAddress(): ListenAddress | undefined
  listensOn(address: ListenAddress): void
}

/** The settings that the admin listener shows or needs. */
export type StatusConfig = Pick<Config, 'dataDir' | 'covenantSigner' | 'ethereum' | 'limits'>

export function createDaemonStatus(config: StatusConfig, clock: Clock): DaemonStatus {
  const startedAtMs = clock.nowMs()
  let now = { phase: 'starting' as DaemonPhase, sinceMs: startedAtMs, detail: '' }
  let opened: Opened = {}
  let address: ListenAddress | undefined
  return {
    config,
    startedAtMs,
    phase: () => now,
    enter(phase, detail = '') {
      now = { phase, sinceMs: clock.nowMs(), detail }
    },
    opened: () => opened,
    add(parts) {
      opened = { ...opened, ...parts }
    },
    forget() {
      opened = opened.engine === undefined ? {} : { engine: opened.engine }
    },
    adminAddress: () => address,
    listensOn(given) {
      address = given
    },
  }
}
