import type { StoreReadiness } from '../../covenant/store.js'
import type { JobCore } from './jobs-core.js'

type Check = StoreReadiness['checks'][number]

/** Whether the store takes new keys now, check by check. */
export function readinessOf(
  core: JobCore,
  state: {
    readonly isOpen: boolean
    readonly fatal: unknown
    readonly replay: 'running' | 'done' | 'failed'
    readonly replayCause: unknown
  },
): StoreReadiness {
  const { isOpen, fatal, replay } = state
  const checks = [
    databaseCheck(isOpen, fatal),
    ledgerCheck(core),
    replayCheck(replay, state.replayCause),
    quarantineCheck(core),
    witnessCheck(core),
  ]
  const closed = core.fences.everyNewKey !== undefined
  const newKeys = isOpen && replay === 'done' && core.queue.takesLines() && !closed
  return { newKeys, checks }
}

function databaseCheck(isOpen: boolean, fatal: unknown): Check {
  const name = 'database'
  if (isOpen) return { name, ok: true, detail: 'open', remedy: '' }
  const detail = fatal === undefined ? 'closed' : `stopped: ${messageOf(fatal)}`
  return { name, ok: false, detail, remedy: 'Start the process again.' }
}

function ledgerCheck({ ledger, queue }: JobCore): Check {
  const name = 'ledger'
  const { seq, hash } = ledger.head()
  if (queue.takesLines()) return { name, ok: true, detail: `${seq} ${hash}`, remedy: '' }
  const detail = ledger.trouble() || 'lines wait to be written'
  return { name, ok: false, detail, remedy: 'Free disk space, or look at the disk.' }
}

function replayCheck(replay: 'running' | 'done' | 'failed', cause: unknown): Check {
  const name = 'replay'
  if (replay === 'done')
    return { name, ok: true, detail: 'the witnesses were compared', remedy: '' }
  if (replay === 'running') {
    return { name, ok: false, detail: 'the witnesses are being compared', remedy: 'Wait.' }
  }
  const remedy = 'Reconcile the store, or start the process again.'
  return { name, ok: false, detail: `comparing failed: ${messageOf(cause)}`, remedy }
}

function quarantineCheck({ fences }: JobCore): Check {
  const name = 'quarantine'
  const { open, everyNewKey } = fences
  if (open === 0) return { name, ok: true, detail: 'no records', remedy: '' }
  const detail =
    everyNewKey === undefined
      ? `${open} records are set aside`
      : `${open} records are set aside, ${everyNewKey.id} refuses every new key`
  return { name, ok: false, detail, remedy: 'List the quarantined records and resolve them.' }
}

function witnessCheck({ ledger }: JobCore): Check {
  const name = 'witness'
  const state = ledger.witness()
  switch (state.kind) {
    case 'off':
      return { name, ok: true, detail: 'off', remedy: '' }
    case 'starting':
      return { name, ok: true, detail: 'not read yet', remedy: '' }
    case 'ok':
      return { name, ok: true, detail: `at line ${state.seq}`, remedy: '' }
    case 'failing':
      return { name, ok: false, detail: messageOf(state.cause), remedy: 'Look at its disk.' }
    case 'contradicts': {
      const detail = `it knows line ${state.witnessed.seq}, which the ledger lacks or has otherwise`
      return { name, ok: false, detail, remedy: 'Find out which of the two was restored.' }
    }
    case 'foreign':
      return { name, ok: false, detail: state.detail, remedy: 'Name another witness file.' }
  }
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : 'unknown'
}
