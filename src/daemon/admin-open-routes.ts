import type { AdminBody } from './admin-input.js'
import { inputs, type Schema } from './admin-schemas.js'
import type { DaemonStatus } from './daemon-status.js'
import type { Metrics } from './metrics.js'
import type { RouteTold } from './openapi.js'
import type { Readiness, ReadinessReport } from './readiness.js'

/** An answer as it goes out. */
export type OpenAnswer = {
  readonly status: number
  readonly type: string
  readonly body: string | Readonly<Record<string, unknown>>
}

/** A route that needs no token. */
export type OpenRoute = RouteTold & {
  readonly run: (query: AdminBody) => OpenAnswer | Promise<OpenAnswer>
}

const jsonType = 'application/json; charset=utf-8'
const json = (body: Readonly<Record<string, unknown>>, status = 200): OpenAnswer => ({
  ...{ status, body },
  type: jsonType,
})

/** What the open routes tell of. */
export type OpenDeps = {
  readonly status: DaemonStatus
  readonly readiness: Readiness
  readonly metrics: Metrics
  readonly version: string
}

/** The routes that anybody who reaches the listener may ask: no ids, no secrets, no changes. */
export function openRoutes(deps: OpenDeps, describe: () => Schema): readonly OpenRoute[] {
  const { status, readiness, metrics, version } = deps
  const open = { method: 'GET', problems: [400], needsToken: false } as const
  return [
    {
      ...open,
      path: '/livez',
      summary: 'Whether the process answers at all',
      answer: 'Live',
      run: () => json({ status: 'ok' }),
    },
    {
      ...open,
      path: '/readyz',
      summary: 'Whether this node may take requests; 503 when it is not ready',
      answer: 'Ready',
      alsoStatus: [503],
      query: inputs.verbose,
      run: async ({ verbose }) => {
        const report = await readiness.read()
        const code = report.status === 'notReady' ? 503 : 200
        if (verbose === undefined || verbose === 'false')
          return json({ status: report.status }, code)
        const checkedAt = new Date(report.checkedAtMs).toISOString()
        return json({ status: report.status, checkedAt, checks: report.checks }, code)
      },
    },
    {
      ...open,
      path: '/state',
      summary: 'What the process is, how far it is, and whether it may sign',
      answer: 'State',
      run: async () => {
        const { phase } = status.phase()
        const found = phase === 'serving' ? await readiness.read() : undefined
        return json(stateJson(status, version, found))
      },
    },
    {
      ...open,
      path: '/metrics',
      summary: 'Numbers for Prometheus',
      answer: undefined,
      run: async () => {
        const { text, type } = await metrics.read(status, readiness)
        return { status: 200, type, body: text }
      },
    },
    {
      ...open,
      path: '/openapi.json',
      summary: 'This description',
      answer: 'OpenApi',
      run: () => json(describe()),
    },
  ]
}

function stateJson(
  status: DaemonStatus,
  version: string,
  found: ReadinessReport | undefined,
): Readonly<Record<string, unknown>> {
  const { config, startedAtMs } = status
  const { phase, sinceMs, detail } = status.phase()
  const { engine, compatible, census, jobs, service } = status.opened()
  const counts = census?.counts()
  const height = service?.status().hostHeight
  return {
    state: phase === 'serving' ? (found?.status ?? 'notReady') : phase,
    since: new Date(sinceMs).toISOString(),
    detail,
    version,
    startedAt: new Date(startedAtMs).toISOString(),
    engine: engine ?? null,
    gate: {
      bridgeCovenantFraudDefenseConfirmed:
        config.covenantSigner.bridgeCovenantFraudDefenseConfirmed,
      bridgeAddress: config.ethereum.bridgeAddress ?? null,
    },
    listeners: { compatible: compatible?.address ?? null, admin: status.adminAddress() ?? null },
    jobs:
      counts === undefined
        ? null
        : {
            loaded: Number(counts.loaded),
            unfinished: Number(counts.unfinished),
            finished: Number(counts.finished),
          },
    newKeys: jobs?.readiness().newKeys ?? null,
    hostHeight: height === undefined ? null : Number(height),
    ...(found === undefined ? {} : { checks: found.checks }),
  }
}
