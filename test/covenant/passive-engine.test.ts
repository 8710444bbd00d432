import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { neverAborted } from '../../src/base/abort.js'
import { openCovenantService } from '../../src/covenant/index.js'
import { type Job, parseRequestId } from '../../src/covenant/job.js'
import { passiveEngine, passiveSettings, passiveSigner } from '../../src/covenant/passive-engine.js'
import { noTrustRoots } from '../../src/covenant/trust.js'
import { memoryJobDisk, memoryJobStore } from '../../src/store/memory-jobs.js'
import { manualTime } from '../../src/testing/manual-time.js'
import { makeSubmit, some, testDomain, testNowMs } from './factory.js'

const detail = 'accepted for covenant signing'
const hourMs = 3_600_000

function openWorld() {
  const time = manualTime(testNowMs)
  const store = memoryJobStore({ disk: memoryJobDisk(), clock: time })
  const service = openCovenantService({
    ...{ store, engine: passiveEngine, signer: passiveSigner, settings: passiveSettings },
    ...{ trustRoots: noTrustRoots, domain: testDomain, clock: time, scheduler: time },
  })
  service.start()
  const quiet = async (): Promise<void> => {
    for (let at = 0; at < 5; at += 1) await turn()
  }
  const onlyJob = async (): Promise<Job> => some((await store.list({ limit: 2 }))[0])
  return { time, service, quiet, onlyJob }
}

describe('a service with the passive engine', () => {
  it('accepts a request, and lets it wait without being asked again and again', async () => {
    const { time, service, quiet, onlyJob } = openWorld()
    const input = makeSubmit({ route: 'qc_v1' })
    const { requestId, ...answer } = await service.submit(input, 'qc_v1')
    expect(answer).toEqual({ status: 'PENDING', detail })
    await quiet()
    const poll = { ...input, requestId: parseRequestId(requestId) }
    for (let minute = 0; minute < 29; minute += 1) {
      expect(await service.poll(poll, 'qc_v1')).toEqual({ status: 'PENDING', requestId, detail })
      await quiet()
      time.advance(60_000)
    }
    // When it came, and for the first poll.
    expect(await onlyJob()).toMatchObject({ attempts: 2, detail, held: false })
    for (let hour = 0; hour < 24; hour += 1) {
      time.advance(hourMs)
      await quiet()
    }
    const { attempts, nextAtMs } = await onlyJob()
    expect(attempts).toBeGreaterThanOrEqual(2 + 12)
    expect(attempts).toBeLessThanOrEqual(2 + 48)
    expect(nextAtMs).toBeGreaterThan(time.nowMs())
    expect(nextAtMs).toBeLessThanOrEqual(time.nowMs() + hourMs)
    expect((await service.submit(input, 'qc_v1')).requestId).toBe(requestId)
    await service.stop()
  })

  it('takes no request with a certificate: nobody knows the height', async () => {
    const { service } = openWorld()
    const input = makeSubmit({ route: 'qc_v1', certificate: true })
    await expect(service.submit(input, 'qc_v1')).rejects.toMatchObject({
      code: 'HostHeightUnavailable',
      cause: { code: 'EnginePassive' },
    })
    expect(service.status().hostHeight).toBeUndefined()
    await service.stop()
  })
})

describe('the passive signer', () => {
  it('controls no key and signs nothing', async () => {
    expect(await passiveSigner.controls('0x02', neverAborted)).toBe(false)
    const context = { requestId: parseRequestId('kcs_qc_0123456789abcdef') }
    const signing = passiveSigner.sign('0x02', new Uint8Array(32), context, neverAborted)
    await expect(signing).rejects.toMatchObject({ code: 'EnginePassive' })
  })
})
