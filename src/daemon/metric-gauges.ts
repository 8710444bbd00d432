import type { Gauge, Registry } from 'prom-client'
import { listedMax } from '../base/limits.js'
import { readLedgerHead } from '../datadir/ledger-verify.js'
import type { DaemonStatus } from './daemon-status.js'
import type { ReadinessReport } from './readiness.js'

/** The numbers that are looked up when somebody asks for them. */
export interface Gauges {
  set(status: DaemonStatus, report: ReadinessReport): Promise<void>
}

/** Milliseconds that the head of the ledger is not read again. */
const headKeptMs = 5000

/**
 * Makes the gauges of a daemon.
 *
 * @param GaugeClass of prom-client, which is loaded when a daemon starts
 */
export function createGauges(
  GaugeClass: typeof Gauge,
  registry: Registry,
  version: string,
): Gauges {
  const name = (text: string): string => `holdfast_${text}`
  const gauge = (text: string, help: string, labelNames: readonly string[] = []): Gauge<string> =>
    new GaugeClass({ name: text, help, labelNames: [...labelNames], registers: [registry] })
  const gauges = {
    build: gauge(name('build_info'), 'Version of the daemon.', ['version']),
    client: gauge('client_info', 'Version of the client.', ['client', 'version']),
    eth: gauge('eth_connectivity', '1 while a host chain source answers.'),
    btc: gauge('btc_connectivity', '1 while a Bitcoin source answers.'),
    ready: gauge(name('ready'), '1 while the daemon is ready or degraded.'),
    degraded: gauge(name('degraded'), '1 while the daemon is degraded.'),
    check: gauge(name('check_ok'), '1 for a check of readiness that is well.', ['check']),
    start: gauge(name('start_time_seconds'), 'When the daemon started, since 1970.'),
    jobs: gauge(name('jobs'), 'Jobs by whether they have ended.', ['state']),
    records: gauge(name('quarantined_records'), 'Records that were set aside.', ['kind', 'state']),
    blocked: gauge(name('blocked_keys'), 'Route keys that are closed.'),
    everyKey: gauge(name('blocks_every_new_key'), '1 while no new key is taken.'),
    loaded: gauge(name('load_records'), 'What the last opening found.', ['outcome']),
    loadTime: gauge(name('load_duration_seconds'), 'How long the last opening took.'),
    seq: gauge(name('ledger_head_seq'), 'Sequence of the last line of the ledger.'),
    headTime: gauge(name('audit_head_timestamp_seconds'), 'Time of the last line of the ledger.'),
    height: gauge(name('host_height_blocks'), 'Highest host-chain height relied on.'),
    inFlight: gauge(name('jobs_in_flight'), 'Jobs that the runner tries now.'),
    connections: gauge(name('compatible_connections'), 'Open connections of clients.'),
    requests: gauge(name('compatible_requests'), 'Requests of clients not yet answered.'),
  }
  gauges.build.set({ version }, 1)
  gauges.client.set({ client: 'holdfast', version }, 1)
  for (const state of ['unfinished', 'finished']) gauges.jobs.set({ state }, 0)

  let headReadMs = Number.NEGATIVE_INFINITY
  function readHead(directory: string): void {
    if (performance.now() - headReadMs < headKeptMs) return
    headReadMs = performance.now()
    try {
      const { seq, at } = readLedgerHead(directory)
      gauges.seq.set(Number(seq))
      if (at !== undefined) gauges.headTime.set(Date.parse(at) / 1000)
    } catch {
      // Readiness tells of a ledger that cannot be read; the gauge keeps what was known.
    }
  }

  async function readStore(status: DaemonStatus): Promise<void> {
    const { jobs, census } = status.opened()
    if (jobs === undefined) return
    readHead(status.config.dataDir)
    const records = await jobs.listQuarantined(listedMax)
    gauges.records.reset()
    for (const kind of ['job', 'intent', 'ledger', 'file'] as const) {
      for (const state of ['open', 'retired'] as const) {
        const count = records.filter((record) => record.kind === kind && record.state === state)
        gauges.records.set({ kind, state }, count.length)
      }
    }
    gauges.blocked.set(records.reduce((sum, { blocks }) => sum + blocks.keys.length, 0))
    const closesAll = records.some(({ blocks, state }) => blocks.everyNewKey && state === 'open')
    gauges.everyKey.set(closesAll ? 1 : 0)
    const counts = census?.counts()
    if (counts !== undefined) {
      gauges.jobs.set({ state: 'unfinished' }, Number(counts.unfinished))
      gauges.jobs.set({ state: 'finished' }, Number(counts.finished))
    }
    const opening = census?.opening()
    if (opening === undefined) return
    gauges.loaded.set({ outcome: 'loaded' }, Number(opening.loaded))
    gauges.loaded.set({ outcome: 'superseded' }, 0)
    gauges.loaded.set({ outcome: 'quarantined' }, records.length)
    gauges.loadTime.set(opening.tookMs / 1000)
  }

  function readReadiness({ status, checks }: ReadinessReport): void {
    gauges.ready.set(status === 'notReady' ? 0 : 1)
    gauges.degraded.set(status === 'degraded' ? 1 : 0)
    gauges.check.reset()
    for (const check of checks) gauges.check.set({ check: check.name }, check.ok ? 1 : 0)
    const answers = (chain: string): number =>
      checks.some(({ name: text, ok }) => ok && text.startsWith(chain)) ? 1 : 0
    gauges.eth.set(answers('ethereum'))
    gauges.btc.set(answers('bitcoin'))
  }

  function readParts(status: DaemonStatus): void {
    const { service, compatible } = status.opened()
    gauges.start.set(status.startedAtMs / 1000)
    const running = service?.status()
    gauges.inFlight.set(running?.inFlight ?? 0)
    if (running?.hostHeight !== undefined) gauges.height.set(Number(running.hostHeight))
    const load = compatible?.load()
    gauges.connections.set(load?.connections ?? 0)
    gauges.requests.set(load?.requests ?? 0)
  }

  return {
    async set(status, report) {
      readReadiness(report)
      readParts(status)
      await readStore(status)
    },
  }
}
