import { compatibleConnectionsMax, listedMax } from '../base/limits.js'
import type { QuarantineRecord } from '../covenant/store.js'
import { layoutOf } from '../datadir/layout.js'
import type { DaemonStatus, SourceCheck } from './daemon-status.js'
import { probeDisk, watchFiles } from './disk-probe.js'
import type { Finding, ReadinessSource } from './readiness.js'

const good = (name: string, detail: string): Finding => ({ name, ok: true, detail, remedy: '' })

const bad = (
  name: string,
  detail: string,
  remedy: string,
  severity: 'degraded' | 'notReady' = 'notReady',
): Finding => ({ name, ok: false, detail, remedy, severity })

const startAgain = 'Look at the log, and start the process again.'

/** Everything that the readiness of this daemon depends on. */
export function readinessSources(status: DaemonStatus): readonly ReadinessSource[] {
  return [
    { name: 'daemon', remedy: startAgain, look: () => [phaseFinding(status)] },
    filesSource(status),
    { name: 'store', remedy: startAgain, look: () => storeFindings(status) },
    { name: 'quarantine', remedy: startAgain, look: () => recordFindings(status) },
    {
      name: 'disk',
      remedy: 'Look at the disk of the data directory: it takes no write in time.',
      look: () => probeDisk(status.config.dataDir),
    },
    { name: 'compatible', remedy: startAgain, look: () => [listenerFinding(status)] },
    { name: 'runner', remedy: startAgain, look: () => [runnerFinding(status)] },
    { name: 'engine', remedy: startAgain, look: () => [engineFinding(status)] },
    {
      name: 'chain',
      remedy: 'Look at the chain sources and at the network.',
      look: async () => judgeSources((await status.opened().checks?.()) ?? []),
    },
  ]
}

function phaseFinding(status: DaemonStatus): Finding {
  const { phase, detail } = status.phase()
  switch (phase) {
    case 'serving':
      return good('daemon', 'serving')
    case 'starting':
    case 'loading':
      return bad('daemon', phase, 'Wait.')
    case 'draining':
      return bad('daemon', 'it was asked to stop', 'Start it again when it has ended.')
    case 'failed':
      return bad('daemon', detail === '' ? 'it failed' : detail, startAgain)
  }
}

/** The directory's lock, the database and the ledger: whether the files are still there. */
function filesSource(status: DaemonStatus): ReadinessSource {
  const { dataDir } = status.config
  const { lock, jobs, ledger } = layoutOf(dataDir)
  const watch = watchFiles({
    lock: { path: lock, mayBeReplaced: false },
    databaseFile: { path: jobs, mayBeReplaced: false },
    // A full one gets another name, and a new one takes its place.
    ledgerFile: { path: ledger, mayBeReplaced: true },
  })
  const remedies: Readonly<Record<string, string>> = {
    lock: 'Stop this process, find out who removed the lock file, and start again.',
    databaseFile: 'Stop this process and restore the data directory from a backup.',
    ledgerFile:
      'Stop this process, put the file back or restore from a backup, then run "holdfast store verify".',
  }
  return {
    name: 'files',
    remedy: 'Look at the disk of the data directory: it does not answer.',
    async look() {
      if (status.opened().jobs === undefined) return []
      return (await watch.look()).map(({ name, isThere }) =>
        isThere
          ? good(name, 'in its place')
          : bad(name, 'the file is gone or was replaced', remedies[name] ?? ''),
      )
    },
  }
}

/** A witness that fails or contradicts is told of in the quarantine too when it closes anything. */
function storeFindings(status: DaemonStatus): readonly Finding[] {
  const { jobs } = status.opened()
  if (jobs === undefined) return [bad('database', 'not open', 'Wait.')]
  return jobs
    .readiness()
    .checks.filter(({ name }) => name !== 'quarantine')
    .map((check) => {
      if (check.ok) return check
      return { ...check, severity: check.name === 'witness' ? 'degraded' : 'notReady' } as const
    })
}

/** Records that were set aside, and whether everything that was ever accepted is accounted for. */
async function recordFindings(status: DaemonStatus): Promise<readonly Finding[]> {
  const { jobs, census } = status.opened()
  if (jobs === undefined) return []
  const records = await jobs.listQuarantined(listedMax)
  const open = records.filter(({ state }) => state === 'open')
  const counts = census?.counts()
  const loaded = counts?.loaded
  const isCompared = jobs.readiness().checks.every(({ name, ok }) => name !== 'replay' || ok)
  const inventory = (): Finding => {
    if (!isCompared || loaded === undefined) {
      return bad('inventory', 'the witnesses are not compared yet', 'Wait.')
    }
    const fenced = open.length
    const closed = records.length - fenced
    const expected = loaded + BigInt(records.filter(isLost).length)
    const detail = `expected ${expected} = loaded ${loaded} + superseded 0 + quarantined ${expected - loaded}; fenced ${fenced}, retired ${closed}`
    return good('inventory', detail)
  }
  return [inventory(), quarantineFinding(open)]
}

/** Whether a record stands for a job that has no row. */
const isLost = ({ kind, blocks }: QuarantineRecord): boolean =>
  kind === 'job' && blocks.keys.length > 0

function quarantineFinding(open: readonly QuarantineRecord[]): Finding {
  const name = 'quarantine'
  const closing = open.find(({ blocks }) => blocks.everyNewKey)
  if (closing !== undefined) {
    const remedy = `Run "holdfast quarantine show ${closing.id}" and resolve it.`
    return bad(name, `not signing: ${closing.id} refuses every new key`, remedy)
  }
  if (open.length === 0) return good(name, 'no open records')
  const detail = `${open.length} open records keep keys or outpoints closed`
  const remedy = 'Run "holdfast quarantine list" and resolve them.'
  return bad(name, detail, remedy, 'degraded')
}

function listenerFinding(status: DaemonStatus): Finding {
  const name = 'compatible'
  const { compatible } = status.opened()
  if (compatible === undefined) return bad(name, 'it does not listen', 'Wait.')
  const { connections, requests, slowestMs } = compatible.load()
  const { callMs } = status.config.limits
  const detail = `${connections} connections, ${requests} requests, the slowest for ${slowestMs} ms`
  if (connections >= compatibleConnectionsMax) {
    const remedy = 'Find out who opens so many connections.'
    return bad(name, `${detail}; no more connections are taken`, remedy, 'degraded')
  }
  if (slowestMs > callMs + slackMs) {
    const remedy = 'Find out which client or which chain source is so slow.'
    return bad(name, detail, remedy, 'degraded')
  }
  return good(name, detail)
}

/** Milliseconds that a request may be read and answered beside the work for it. */
const slackMs = 60_000

function runnerFinding(status: DaemonStatus): Finding {
  const { service } = status.opened()
  if (service === undefined) return bad('runner', 'it does not run', 'Wait.')
  const { state, inFlight, waitingSubmits } = service.status()
  const detail = `${state}, ${inFlight} jobs in flight, ${waitingSubmits} submits wait`
  return state === 'running' ? good('runner', detail) : bad('runner', detail, 'Wait.')
}

/** One source of a chain that is away is no outage while another one answers. */
function judgeSources(checks: readonly SourceCheck[]): readonly Finding[] {
  const chainOf = ({ name }: SourceCheck): string => name.replace(/:.*/, '')
  const answering = new Set(checks.filter(({ ok }) => ok).map(chainOf))
  return checks.map((check) => {
    if (check.ok) return check
    return { ...check, severity: answering.has(chainOf(check)) ? 'degraded' : 'notReady' } as const
  })
}

function engineFinding(status: DaemonStatus): Finding {
  const { engine } = status.opened()
  if (engine === undefined) return bad('engine', 'none', 'Wait.')
  const { name, wallets } = engine
  if (wallets === undefined) {
    return good('engine', `${name}: requests are accepted, nothing is signed`)
  }
  if (!status.config.covenantSigner.bridgeCovenantFraudDefenseConfirmed) {
    const remedy = 'Set bridgeCovenantFraudDefenseConfirmed once the Bridge defends covenants.'
    const detail = 'the fraud defence is not confirmed: every job fails as POLICY_REJECTED'
    return bad('engine', detail, remedy, 'degraded')
  }
  if (wallets > 0) return good('engine', `${name}, ${wallets} wallets`)
  const remedy = 'Stop the daemon, run "holdfast covenant bind" for each wallet, and start again.'
  return bad('engine', 'no wallet key is bound: every job fails as POLICY_REJECTED', remedy)
}
