import { HoldfastError } from '../base/errors.js'
import type { Engine } from './engine.js'
import type { CovenantSettings } from './settings.js'
import type { Signer } from './signer.js'

/** What a client reads of a job that nothing is done for. */
const detail = 'accepted for covenant signing'

/**
 * The engine for when there is none: requests are accepted and stay as they are (covenant signer specification, 14).
 *
 * @remarks Its height is always an error, so that no request with a certificate is taken or answered.
 */
export const passiveEngine: Engine = {
  prepare: () => Promise.resolve({ kind: 'defer', detail }),
  confirm: () => Promise.resolve({ kind: 'defer', detail }),
  finish: () => Promise.resolve({ kind: 'defer', detail }),
  heights: () => Promise.reject(new EnginePassive('reads no host chain')),
}

/** The signer for when there is none: it holds no key. */
export const passiveSigner: Signer = {
  controls: () => Promise.resolve(false),
  sign: () => Promise.reject(new EnginePassive('signs nothing')),
}

/**
 * Settings under which a passive engine costs nothing: submits wait for nobody, jobs are looked at every half hour to
 * hour, and polls do not bring that forward.
 */
export const passiveSettings: Partial<CovenantSettings> = {
  submitWaitMs: 0,
  retryMinMs: 1_800_000,
  retryMaxMs: 3_600_000,
  nudgeEveryMs: 3_600_000,
}

/** The passive engine was asked for what only a signing engine can tell or do. */
export class EnginePassive extends HoldfastError {
  readonly code = 'EnginePassive'
  constructor(what: 'reads no host chain' | 'signs nothing') {
    super(`passive engine: it ${what}, want a signing engine`, {
      retry: 'after-fix',
      remedy: 'Run the service with a signing engine; until then leave certificates out.',
    })
  }
}
