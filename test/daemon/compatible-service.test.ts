// The compatible listener over the covenant service itself: section 12 of the covenant signer specification as a
// client sees it; cases B, C, E, F and G1 of its list that show on the wire.
import { afterEach, describe, expect, it } from 'vitest'
import { type CompatibleListener, openCompatibleListener } from '../../src/daemon/compatible.js'
import { encodeSubmit, makeSubmit, type SubmitOptions } from '../covenant/factory.js'
import { World, type WorldOptions } from '../covenant/service-world.js'
import { sendMutated } from './mutated-requests.js'
import { ask, type RawAnswer, requestBytes } from './raw-http.js'

const open: { readonly listener: CompatibleListener; readonly world: World }[] = []
afterEach(async () => {
  for (const { listener, world } of open.splice(0)) {
    await listener.close(AbortSignal.abort())
    await world.drive(world.service.stop())
    await world.store.close()
  }
})

type Wire = {
  readonly world: World
  readonly listener: CompatibleListener
  readonly post: (path: string, body: Uint8Array) => Promise<RawAnswer>
  readonly logged: readonly { readonly fields: object; readonly message: string }[]
}

async function openWire(options: WorldOptions = {}): Promise<Wire> {
  const world = new World({ settings: { submitWaitMs: 0 }, ...options })
  const logged: { fields: object; message: string }[] = []
  const note = (fields: object, message: string): void => void logged.push({ fields, message })
  const plenty = { capacity: 100_000, refillMs: 1 }
  const listener = await openCompatibleListener({
    service: world.service,
    clock: world.time,
    log: { info: note, warn: note },
    settings: {
      port: 0,
      listenAddress: '',
      authToken: '',
      adminAuthToken: '',
      enableSelfV1: true,
      buckets: { submit: plenty, poll: plenty },
      times: { lingerMs: 20 },
    },
  })
  open.push({ listener, world })
  return {
    ...{ world, listener, logged },
    async post(path, body) {
      const answer = await ask(listener.address, { path, body })
      if (answer === undefined) throw new TypeError('the connection ended without an answer')
      return answer
    },
  }
}

const submitPath = '/v1/self_v1/signer/requests'
const submitOf = (options: SubmitOptions = {}): Uint8Array => encodeSubmit(makeSubmit(options))
const idIn = ({ body }: RawAnswer): string => /"requestId":"([^"]*)"/.exec(body)?.[1] ?? ''

describe('the covenant service on the wire', () => {
  it('accepts a request once and says READY when it is signed', async () => {
    const { world, post } = await openWire()
    const first = await post(submitPath, submitOf())
    expect(first.body).toMatch(
      /^\{"status":"PENDING","requestId":"kcs_self_[0-9a-f]{16}","detail":".+"\}\n$/,
    )
    const again = await post(submitPath, submitOf())
    expect(idIn(again)).toBe(idIn(first))
    const poll = (): Promise<RawAnswer> => post(`${submitPath}/${idIn(first)}:poll`, submitOf())
    await world.until(async () => (await poll()).body.startsWith('{"status":"READY"'))
    const ready = await poll()
    expect(ready.status).toBe(200)
    expect(await post(submitPath, submitOf())).toMatchObject({ status: 200, body: ready.body })
    expect(await world.jobs()).toHaveLength(1)
  })

  it('keeps the two routes apart and refuses another request under the same id', async () => {
    const { post } = await openWire({ paused: true })
    const self = await post(submitPath, submitOf({ routeRequestId: 'same' }))
    const qcPath = '/v1/qc_v1/signer/requests'
    const qc = await post(qcPath, submitOf({ routeRequestId: 'same', route: 'qc_v1' }))
    expect(idIn(qc)).toMatch(/^kcs_qc_/)
    const other = await post(submitPath, submitOf({ routeRequestId: 'same', seed: 2 }))
    expect(other).toMatchObject({
      status: 400,
      body: 'routeRequestId already exists with a different request payload\n',
    })
    const wrongRoute = await post(
      `${qcPath}/${idIn(self)}:poll`,
      submitOf({ routeRequestId: 'same', route: 'qc_v1' }),
    )
    expect(wrongRoute).toMatchObject({ status: 404, body: 'covenant signer job not found\n' })
    const wrongId = await post(
      `${submitPath}/${idIn(self)}:poll`,
      submitOf({ routeRequestId: 'else' }),
    )
    expect(wrongId).toMatchObject({
      status: 400,
      body: 'routeRequestId does not match stored job\n',
    })
  })

  it('answers broken rules with their texts', async () => {
    const { post } = await openWire({ paused: true })
    const text = Buffer.from(submitOf()).toString()
    const refused = async (from: string | RegExp, to: string): Promise<string> => {
      const answer = await post(submitPath, Buffer.from(text.replace(from, to)))
      expect(answer.status).toBe(400)
      return answer.body
    }
    expect(await refused('"SIGNER_COORDINATION"', '""')).toBe('stage must be SIGNER_COORDINATION\n')
    expect(await refused(/"facadeRequestId":"[^"]*"/, '"facadeRequestId":"a b"')).toBe(
      'request.facadeRequestId must match [a-zA-Z0-9_-] and be at most 255 chars\n',
    )
    expect(await refused('"delta2"', '"delta3"')).toMatch(
      /^request\.scriptTemplate is invalid for self_v1: /,
    )
    const empty = await post(`${submitPath}:poll`, Buffer.from(text))
    expect(empty).toMatchObject({ status: 400, body: 'requestId is required\n' })
  })

  it('answers submits that wait for the runner with the job as it stands when the listener closes', async () => {
    const { world, post, listener } = await openWire({
      paused: true,
      settings: { submitWaitMs: 20_000 },
    })
    const waiting = post(submitPath, submitOf())
    await world.until(() => world.service.status().waitingSubmits > 0)
    const closed = listener.close()
    expect(await waiting).toMatchObject({ status: 200 })
    await closed
    expect(await world.jobs()).toHaveLength(1)
  })

  it('says only internal server error once the service has stopped, and why in the log', async () => {
    const { world, post, logged } = await openWire({ paused: true })
    await world.drive(world.service.stop())
    const answer = await post(submitPath, submitOf())
    expect(answer).toMatchObject({ status: 500, body: 'internal server error\n' })
    expect(JSON.stringify(logged.at(-1))).toContain('CovenantServiceStopped')
  })

  it('answers requests that were changed at random, and never with an error of its own', async () => {
    const { post, listener, logged } = await openWire({ paused: true })
    const bases = [
      requestBytes({ path: submitPath, body: submitOf() }),
      requestBytes({ path: submitPath, body: submitOf({ action: 'REDEEM', seed: 3 }) }),
      requestBytes({ path: '/v1/qc_v1/signer/requests', body: submitOf({ route: 'qc_v1' }) }),
      requestBytes({ path: `${submitPath}:poll`, body: submitOf() }),
      requestBytes({ path: `${submitPath}/kcs_self_0123456789abcdef:poll`, body: submitOf() }),
      requestBytes({ method: 'GET', path: '/healthz' }),
    ]
    const count = Number(process.env.HOLDFAST_MUTATED_REQUESTS ?? 3000)
    const options = { count, seed: 20_260_102, lanes: 8 }
    const allowed = [100, 200, 400, 401, 404, 405, 417, 431, 501, 505]
    const isAllowed = ({ status, headers, body }: RawAnswer): boolean =>
      allowed.includes(status) &&
      (status === 200 || !(headers.get('content-type') ?? '').includes('json')) &&
      (status !== 501 || body === 'Unsupported transfer encoding')
    const report = await sendMutated(listener.address, bases, options, isAllowed)
    expect(report.offences).toEqual([])
    for (const status of [200, 400, 404]) expect(report.statuses.get(status)).toBeGreaterThan(10)
    expect(logged).toHaveLength(1)
    expect(await post(submitPath, submitOf({ seed: 'last' }))).toMatchObject({ status: 200 })
  }, 3_600_000)
})
