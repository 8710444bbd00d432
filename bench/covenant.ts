import { join } from 'node:path'
import * as secp256k1 from 'tiny-secp256k1'
import type { Route } from '../src/covenant/request.js'
import { some, testDomain } from '../test/covenant/factory.js'
import {
  approvalDigest,
  decodeSubmit,
  fromHex,
  memoryJobStore,
  parseDerSignature,
} from './covenant-built.js'
import { inFolder, runPairs, startRounds } from './covenant-child.js'
import { inLanes, makeBodies, openService, submitBody } from './covenant-jobs.js'
import { benchOpening, benchSize, openedJobs } from './covenant-size.js'
import { benchSyncs } from './covenant-syncs.js'
import { type Figure, median } from './measure.js'

/** What accepting and keeping jobs costs, beside the same without a disk, and over many jobs. */
export async function* benchCovenant(options: {
  readonly jobsMax: number
}): AsyncGenerator<Figure> {
  yield await durableAgainstMemory('self_v1')
  yield await durableAgainstMemory('qc_v1')
  yield await pipelineAgainstSignatures()
  yield* await benchSyncs()
  yield* await benchSize(options.jobsMax)
  yield* benchOpening(Math.min(options.jobsMax, openedJobs))
}

/** Accepts on SQLite beside the identical pipeline on the memory store, the runner paused. */
function durableAgainstMemory(route: Route): Promise<Figure> {
  return inFolder(async (root) => {
    const ours = await startRounds(join(root, 'data'))
    const memory = await startRounds('')
    const pairs = await runPairs(
      ours,
      memory,
      {
        count: 2000,
        prepare: { kind: 'prepareBodies', route, count: 2000 },
        run: { kind: 'submit', inFlight: 100 },
      },
      9,
    )
    await ours.tell({ kind: 'close' })
    await memory.tell({ kind: 'close' })
    return {
      what: `${route}: durable accepts / the same in memory, 100 in flight`,
      value: pairs.ratio,
      unit: 'x',
      bound: { kind: 'at least', value: 0.7 },
      detail: `${pairs.oursPerS.toFixed(0)} against ${pairs.theirsPerS.toFixed(0)} a second, ${pairs.rounds} rounds of 2,000 in turn with their checkpoint, lowest ${pairs.lowest.toFixed(2)}`,
    }
  })
}

/** Submits from their bytes to a fresh memory store beside nothing but their two signature checks. */
async function pipelineAgainstSignatures(): Promise<Figure> {
  const [count, warmUps, rounds] = [200, 40, 61]
  const bodies = makeBodies('qc_v1', 'checked', 0, count)
  const calls = bodies.flatMap(signatureChecks)
  const times = { whole: [] as number[], checks: [] as number[] }
  for (let round = -warmUps; round < rounds; round++) {
    const service = openService(memoryJobStore(), 'accepting')
    const checks = await cpuMs(() => calls.forEach(check))
    const whole = await cpuMs(() => inLanes(bodies, 100, (body) => submitBody(service, body)))
    await service.stop()
    if (round < 0) continue
    times.whole.push(whole)
    times.checks.push(checks)
  }
  const us = (list: readonly number[]): string => ((1000 * median(list)) / count).toFixed(0)
  return {
    what: 'qc_v1: signature checks alone / bytes to memory store',
    value: median(times.whole.map((whole, at) => (times.checks[at] ?? 0) / whole)),
    unit: 'x',
    bound: { kind: 'at least', value: 0.7 },
    detail: `${us(times.checks)} us of processor time for two signatures, ${us(times.whole)} us for decode to accept, ${rounds} rounds of ${count} in turn`,
  }
}

/** Processor time of all threads of this process: unlike the clock's it leaves out what other programs take. */
async function cpuMs(work: () => unknown): Promise<number> {
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}

type Check = readonly [digest: Uint8Array, publicKey: Uint8Array, compact: Uint8Array]

/** What the library is asked for a qc_v1 body: depositor and custodian. */
function signatureChecks(body: Uint8Array): readonly Check[] {
  const { request } = decodeSubmit(body)
  const { payload, approvals } = some(request.artifactApprovals)
  const digest = fromHex(approvalDigest(payload, testDomain).slice(2))
  const { scriptTemplate } = request
  if (!('custodianPublicKey' in scriptTemplate)) throw new RangeError('bench: want a qc_v1 request')
  const keyOf = { D: scriptTemplate.depositorPublicKey, C: scriptTemplate.custodianPublicKey }
  return some(approvals).map(({ role, signature }) => {
    const key = role === 'D' ? keyOf.D : keyOf.C
    const compact = some(parseDerSignature(fromHex(signature.slice(2))))
    return [digest, fromHex(key.slice(2)), compact]
  })
}

function check([digest, publicKey, compact]: Check): void {
  if (!secp256k1.verify(digest, publicKey, compact, true)) {
    throw new RangeError('bench: a signature does not verify')
  }
}
