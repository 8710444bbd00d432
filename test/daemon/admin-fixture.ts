import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach } from 'vitest'
import { systemClock } from '../../src/base/clock.js'
import { silent } from '../../src/base/log.js'
import { loadConfig } from '../../src/config.js'
import type { JobStore } from '../../src/covenant/store.js'
import { type AdminListener, openAdminListener } from '../../src/daemon/admin.js'
import { createDaemonStatus, type DaemonStatus } from '../../src/daemon/daemon-status.js'
import { createJobCensus } from '../../src/daemon/job-census.js'
import { createMetrics } from '../../src/daemon/metrics.js'
import { createReadiness } from '../../src/daemon/readiness.js'
import { readinessSources } from '../../src/daemon/readiness-sources.js'
import { type Holdfast, openHoldfast } from '../../src/holdfast.js'
import { type Address, ask, type RawAnswer } from './raw-http.js'

/** The admin listener over the real stores of a data directory, without the rest of a daemon. */

export const token = 'canary-operator-token-1c2d'
export const asOperator = `Authorization: Bearer ${token}`

export type JsonAnswer = RawAnswer & {
  // The shape is what the test is about.
  // biome-ignore lint/suspicious/noExplicitAny: see above
  readonly json: any
}

export type AdminSite = {
  readonly dataDir: string
  readonly store: JobStore
  readonly status: DaemonStatus
  readonly listener: AdminListener
  readonly address: Address
  readonly logged: readonly { readonly fields: object; readonly message: string }[]
  get(path: string, headers?: readonly string[]): Promise<JsonAnswer>
  post(path: string, body: unknown, headers?: readonly string[]): Promise<JsonAnswer>
}

const ends: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

/** A folder that is removed after the test. */
export function folderForTest(): string {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-admin-'))
  ends.push(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** The listener as it is in the first moments of a daemon. */
export async function openBareAdmin(
  status: DaemonStatus,
): Promise<{ readonly get: (path: string) => Promise<JsonAnswer> }> {
  const listener = await openAdminListener({
    ...{ settings: { port: 0, listenAddress: '127.0.0.1' }, status, log: silent },
    readiness: createReadiness(readinessSources(status), systemClock),
    ...{ metrics: await createMetrics('1.2.3'), version: '1.2.3' },
  })
  ends.push(() => listener.close())
  return { get: (path) => call(listener.address, 'GET', path, [], '') }
}

/** @param prepare fills the data directory before it is opened */
export async function openAdminSite(
  prepare: (dataDir: string) => Promise<unknown> = async () => undefined,
): Promise<AdminSite> {
  const dataDir = folderForTest()
  await prepare(dataDir)
  const logged: { fields: object; message: string }[] = []
  const note = (fields: object, message: string): void => void logged.push({ fields, message })
  const log = { info: note, warn: note }
  const config = loadConfig({ env: { HOLDFAST_DATA_DIR: dataDir } })
  const status = createDaemonStatus(config, systemClock)
  status.add({ engine: { name: 'passive', signs: false } })
  const metrics = await createMetrics('1.2.3')
  const readiness = createReadiness(readinessSources(status), systemClock, { keptMs: 0 })
  const listener = await openAdminListener({
    ...{ settings: { port: 0, listenAddress: '127.0.0.1' }, status, readiness, metrics, log },
    version: '1.2.3',
  })
  ends.push(() => listener.close())
  const census = createJobCensus(log, metrics.events)
  const holdfast: Holdfast = await openHoldfast({ dataDir, log: census.log, jobs: {} })
  ends.push(() => holdfast.close())
  if (holdfast.jobs === undefined) throw new TypeError('no jobs')
  const store = census.watch(holdfast.jobs)
  await store.ready(new AbortController().signal).catch(() => undefined)
  status.add({
    ...{ jobs: store, census, wallets: holdfast.wallets },
    service: { status: () => serviceStatus(store) },
    compatible: {
      address: { host: '127.0.0.1', port: 1 },
      load: () => ({ connections: 0, requests: 0, slowestMs: 0 }),
    },
  })
  status.enter('serving')
  listener.admit(token)
  const { address } = listener
  return {
    ...{ dataDir, store, status, listener, address, logged },
    get: (path, headers = [asOperator]) => call(address, 'GET', path, headers, ''),
    post: (path, body, headers = [asOperator]) => {
      const text = typeof body === 'string' ? body : JSON.stringify(body)
      return call(address, 'POST', path, [...headers, 'Content-Type: application/json'], text)
    },
  }
}

function serviceStatus(
  store: JobStore,
): ReturnType<NonNullable<ReturnType<DaemonStatus['opened']>['service']>['status']> {
  return {
    ...{ state: 'running', inFlight: 0, walletsHeld: 0, waitingSubmits: 0 },
    ...{ hostHeight: store.hostHeight(), nextDueMs: undefined, store: store.readiness() },
  }
}

export async function call(
  address: Address,
  method: string,
  path: string,
  headers: readonly string[],
  body: string,
): Promise<JsonAnswer> {
  const host = headers.some((line) => line.startsWith('Host:')) ? [] : ['Host: localhost']
  const answer = await ask(address, { method, path, headers: [...host, ...headers], body })
  if (answer === undefined) throw new TypeError('the connection ended without an answer')
  const isJson = answer.headers.get('content-type')?.includes('json') === true
  return { ...answer, json: isJson ? JSON.parse(answer.body) : undefined }
}
