import { afterEach } from 'vitest'
import type { IssueInput, PollInput, Route, SubmitInput } from '../../src/covenant/index.js'
import type { StepResult } from '../../src/covenant/job.js'
import {
  type CompatibleListener,
  type CompatibleSettings,
  openCompatibleListener,
} from '../../src/daemon/compatible.js'
import type { CompatibleService } from '../../src/daemon/compatible-service.js'
import { encodeSubmit, makeIssue, makeSubmit } from '../covenant/factory.js'
import { type Address, ask, type RawAnswer, type RawRequest } from './raw-http.js'

export const paths = {
  submit: '/v1/qc_v1/signer/requests',
  poll: '/v1/qc_v1/signer/requests:poll',
  pollPath: (id: string) => `/v1/qc_v1/signer/requests/${id}:poll`,
  issue: '/v1/admin/signer-approval-certificates',
}
export const asClient = 'Authorization: Bearer client-token'
export const asAdmin = 'Authorization: Bearer admin-token'
export const requestId = 'kcs_qc_0123456789abcdef'

const submitInput: SubmitInput = makeSubmit({ route: 'qc_v1' })
/** The body of a submit that decoding accepts. */
export const submitBody: string = Buffer.from(encodeSubmit(submitInput)).toString()
/** The body of a poll that names the id. */
export const pollBody = (id: string | undefined = requestId): string =>
  Buffer.from(encodeSubmit({ ...submitInput, requestId: id })).toString()
export const issueBody: string = Buffer.from(encodeSubmit(makeIssue({ route: 'qc_v1' }))).toString()

export const pending: StepResult = {
  status: 'PENDING',
  requestId,
  detail: 'accepted for covenant signing',
}
export const pendingText = `{"status":"PENDING","requestId":"${requestId}","detail":"accepted for covenant signing"}\n`

export type Asked =
  | { readonly kind: 'submit'; readonly input: SubmitInput; readonly route: Route }
  | { readonly kind: 'poll'; readonly input: PollInput; readonly route: Route }
  | { readonly kind: 'issue'; readonly input: IssueInput }

/** What the service is to do; what is left out answers with a pending job. */
export type Script = {
  readonly submit?: (signal: AbortSignal) => Promise<StepResult>
  readonly poll?: (signal: AbortSignal) => Promise<StepResult>
  readonly issue?: CompatibleService['issue']
}

export type TestListener = {
  readonly listener: CompatibleListener
  readonly address: Address
  /** What the service was asked, in order. */
  readonly asked: readonly Asked[]
  readonly clock: { nowMs(): number; advance(ms: number): void }
  readonly logged: readonly { readonly fields: object; readonly message: string }[]
  /** One request on a connection of its own, as a client with the right token. */
  readonly ask: (request: RawRequest) => Promise<RawAnswer>
}

const open: CompatibleListener[] = []
const atOnce = AbortSignal.abort()
afterEach(async () => {
  await Promise.all(open.splice(0).map((listener) => listener.close(atOnce)))
})

const plenty = { capacity: 100_000, refillMs: 1 }

/** A listener on a free port with a service that says what the script says; closed after the test. */
export async function openTestListener(
  script: Script = {},
  given: Partial<CompatibleSettings> = {},
): Promise<TestListener> {
  const asked: Asked[] = []
  const logged: { fields: object; message: string }[] = []
  const note = (fields: object, message: string): void => void logged.push({ fields, message })
  const issue = script.issue
  const service: CompatibleService = {
    submit(input, route, signal) {
      asked.push({ kind: 'submit', input, route })
      return script.submit?.(signal) ?? Promise.resolve(pending)
    },
    poll(input, route, signal) {
      asked.push({ kind: 'poll', input, route })
      return script.poll?.(signal) ?? Promise.resolve(pending)
    },
    ...(issue && {
      issue(input, signal) {
        asked.push({ kind: 'issue', input })
        return issue(input, signal)
      },
    }),
  }
  let now = 1_767_323_045_678
  const clock = {
    nowMs: () => now,
    advance: (ms: number) => {
      now += ms
    },
  }
  const settings: CompatibleSettings = {
    port: 0,
    listenAddress: '127.0.0.1',
    authToken: 'client-token',
    adminAuthToken: 'admin-token',
    enableSelfV1: true,
    buckets: { submit: plenty, poll: plenty },
    ...given,
  }
  const listener = await openCompatibleListener({
    ...{ service, settings, clock },
    log: { info: note, warn: note },
  })
  open.push(listener)
  const { address } = listener
  return {
    ...{ listener, address, asked, clock, logged },
    async ask(request) {
      const answer = await ask(address, {
        ...request,
        headers: request.headers ?? [asClient],
      })
      if (answer === undefined) throw new TypeError('the connection ended without an answer')
      return answer
    },
  }
}

/** A promise that is settled from outside. */
export function deferred<T>(): {
  readonly promise: Promise<T>
  readonly resolve: (value: T) => void
} {
  let resolve: (value: T) => void = () => undefined
  const promise = new Promise<T>((done) => {
    resolve = done
  })
  return { promise, resolve }
}
