import { HoldfastError } from '../base/errors.js'

/** No new key is taken now; what is there is still answered. */
export class StoreNotReady extends HoldfastError {
  readonly code = 'StoreNotReady'
  constructor(reason: string, remedy: string, cause?: unknown) {
    super(`job store: new keys are refused, ${reason}`, { retry: 'safe', remedy, cause })
  }
}

export class RecordNotFound extends HoldfastError {
  readonly code = 'RecordNotFound'
  constructor(recordId: string) {
    super(`quarantine: no record ${recordId}, want one of those that are listed`, {
      retry: 'after-fix',
      remedy: 'List the quarantined records; it may have been resolved or have healed already.',
    })
  }
}

/** A record cannot be resolved in the way that was asked for; nothing was changed. */
export class ResolutionRefused extends HoldfastError {
  readonly code = 'ResolutionRefused'
  constructor(recordId: string, problem: string, remedy: string) {
    super(`quarantine: ${recordId} cannot be resolved so, ${problem}`, {
      retry: 'after-fix',
      remedy,
    })
  }
}
