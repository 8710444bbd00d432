import type { Registry } from 'prom-client'
import type { StepResult } from '../covenant/job.js'
import type { Signer } from '../covenant/signer.js'
import type { CompatibleService } from './compatible-service.js'
import type { DaemonStatus } from './daemon-status.js'
import type { JobEvents } from './job-census.js'
import { createGauges } from './metric-gauges.js'
import type { Readiness } from './readiness.js'

/** Numbers for Prometheus; labels hold no ids. */
export interface Metrics {
  /** Hears what the store did. */
  readonly events: JobEvents
  /** The same service, with its submits timed. */
  watch(service: CompatibleService): CompatibleService
  /** The same signer, with its signatures timed. */
  watchSigner(signer: Signer): Signer
  /** The text of all metrics, and its media type. */
  read(status: DaemonStatus, readiness: Readiness): Promise<{ text: string; type: string }>
}

/** @param version of this package */
export async function createMetrics(version: string): Promise<Metrics> {
  const { Counter, Gauge, Histogram, Registry } = await import('prom-client')
  const registry = new Registry()
  const registers = [registry]
  const buckets = [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 60, 300]
  const name = (text: string): string => `holdfast_${text}`

  const ended = new Counter({
    name: name('jobs_total'),
    help: 'Jobs that ended since the start.',
    labelNames: ['route', 'result'],
    registers,
  })
  for (const route of ['qc_v1', 'self_v1']) {
    for (const result of ['succeeded', 'denied', 'failed']) ended.inc({ route, result }, 0)
  }
  const duplicates = new Counter({
    name: name('duplicate_submits_total'),
    help: 'Submits that made no new job.',
    labelNames: ['outcome'],
    registers,
  })
  for (const outcome of ['replayed', 'digest_mismatch', 'blocked']) duplicates.inc({ outcome }, 0)
  const submits = new Histogram({
    name: name('submit_duration_seconds'),
    help: 'From a read submit to its answer.',
    labelNames: ['route', 'result'],
    buckets,
    registers,
  })
  const signs = new Histogram({
    name: name('sign_duration_seconds'),
    help: 'From asking the signer to its answer.',
    labelNames: ['result'],
    buckets,
    registers,
  })
  const gauges = createGauges(Gauge, registry, version)

  return {
    events: {
      accepted(outcome) {
        if (outcome === 'existing') duplicates.inc({ outcome: 'replayed' })
        if (outcome === 'payloadMismatch') duplicates.inc({ outcome: 'digest_mismatch' })
        if (outcome === 'fenced') duplicates.inc({ outcome: 'blocked' })
      },
      ended: (route, result) => ended.inc({ route, result }),
    },
    watch: (service) => ({
      ...(service.issue === undefined ? {} : { issue: service.issue.bind(service) }),
      poll: (input, route, signal) => service.poll(input, route, signal),
      async submit(input, route, signal) {
        const end = submits.startTimer({ route })
        try {
          const result = await service.submit(input, route, signal)
          end({ result: resultOf(result) })
          return result
        } catch (error) {
          end({ result: 'error' })
          throw error
        }
      },
    }),
    watchSigner: (signer) => ({
      ...(signer.findKey === undefined ? {} : { findKey: signer.findKey.bind(signer) }),
      controls: (publicKey, signal) => signer.controls(publicKey, signal),
      async sign(publicKey, digest32, context, signal) {
        const end = signs.startTimer()
        try {
          const signature = await signer.sign(publicKey, digest32, context, signal)
          end({ result: 'succeeded' })
          return signature
        } catch (error) {
          end({ result: 'failed' })
          throw error
        }
      },
    }),
    async read(status, readiness) {
      await gauges.set(status, await readiness.read())
      return textOf(registry)
    },
  }
}

const resultOf = ({ status }: StepResult): string => status.toLowerCase()

async function textOf(registry: Registry): Promise<{ text: string; type: string }> {
  return { text: await registry.metrics(), type: registry.contentType }
}
