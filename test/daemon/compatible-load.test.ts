import { expect, it } from 'vitest'
import type { StepResult } from '../../src/covenant/job.js'
import {
  asClient,
  deferred,
  openTestListener,
  paths,
  pending,
  submitBody,
} from './compatible-fixture.js'
import { openRaw, requestBytes } from './raw-http.js'

it('a listener tells how many connections and requests it has, and how long the oldest waits', async () => {
  const slow = deferred<StepResult>()
  const begun = deferred<void>()
  const { address, listener } = await openTestListener({
    submit: () => {
      begun.resolve()
      return slow.promise
    },
  })
  expect(listener.load()).toEqual({ connections: 0, requests: 0, slowestMs: 0 })
  const connection = await openRaw(address)
  const idle = await openRaw(address)
  idle.send(requestBytes({ method: 'GET', path: '/healthz' }))
  await idle.answer('GET')
  connection.send(requestBytes({ path: paths.submit, headers: [asClient], body: submitBody }))
  await begun.promise
  const beganMs = performance.now()
  while (performance.now() - beganMs < 30) await new Promise((resolve) => setImmediate(resolve))
  const busy = listener.load()
  expect(busy).toMatchObject({ connections: 2, requests: 1 })
  expect(busy.slowestMs).toBeGreaterThanOrEqual(29)
  slow.resolve(pending)
  expect((await connection.answer())?.status).toBe(200)
  expect(listener.load()).toMatchObject({ requests: 0, slowestMs: 0 })
  connection.destroy()
  idle.destroy()
})
