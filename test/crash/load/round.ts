import type { Route, SubmitInput } from '../../../src/covenant/request.js'
import { makeSubmit } from '../../covenant/factory.js'
import type { RawAnswer } from '../../daemon/raw-http.js'
import { randomFrom } from '../../faults/product.js'
import { bytesOf, idIn, sendAll } from './clients.js'
import { connectTo, lastOf, type Site, startDaemon, stopDaemon } from './daemon.js'

/** A request that was sent, and the id that it was acknowledged with. */
export type Sent = {
  readonly route: Route
  readonly key: string
  requestId: string | undefined
}

/** What one round does, from its seed alone. */
export type Plan = {
  /** More than can be answered before the kill; some stand there twice. */
  readonly requests: readonly Sent[]
  /** The kill comes after this many acknowledged accepts, and as many milliseconds later. */
  readonly killAfter: number
  readonly killDelayMs: number
  /** The next start is killed too, so many milliseconds after it began. */
  readonly killOpeningMs: number | undefined
}

/** What a round came to. */
export type Round = {
  readonly sent: readonly Sent[]
  /** Accepts that were acknowledged before the kill. */
  readonly acknowledged: number
  readonly violations: readonly string[]
}

const connectionsMax = 64
const acknowledgedMin = 250
const acknowledgedMax = 1000

/** The same seed and number give the same plan. */
export function planRound(seed: number, round: number): Plan {
  const random = randomFrom(seed * 100_003 + round)
  const whole = (min: number, max: number): number => min + Math.floor(random() * (max - min + 1))
  const killAfter = whole(acknowledgedMin, acknowledgedMax)
  const killDelayMs = random() * 8
  const killOpeningMs = random() < 0.2 ? whole(50, 900) : undefined
  const requests: Sent[] = []
  while (requests.length < killAfter + 40 * connectionsMax) {
    const route = random() < 0.1 ? 'qc_v1' : 'self_v1'
    const sent: Sent = { route, key: `s${seed}_r${round}_${requests.length}`, requestId: undefined }
    requests.push(sent)
    // Two connections send the same at about one time.
    if (random() < 0.05) requests.push(sent)
  }
  return { requests, killAfter, killDelayMs, killOpeningMs }
}

/** Loads the daemon, kills it, starts it again, and sends everything of this round once more. */
export async function runRound(site: Site, plan: Plan): Promise<Round> {
  const violations: string[] = []
  const sent = [...(await loadAndKill(site, plan, violations))]
  const acknowledged = sent.filter(({ requestId }) => requestId !== undefined).length
  if (plan.killOpeningMs !== undefined) await killOpening(site, plan.killOpeningMs)
  await withDaemon(site, () =>
    sendAll(site.address, sent, connectionsMax, {
      prepare: (one) => bytesOf(inputOf(one)),
      onAnswer: (one, answer) => note(one, answer, violations),
    }),
  )
  return { sent, acknowledged, violations }
}

/** Polls every job that there must be; answers what went wrong. */
export async function pollAll(site: Site, sent: readonly Sent[]): Promise<readonly string[]> {
  const violations: string[] = []
  let answered = 0
  await withDaemon(site, () =>
    sendAll(site.address, sent, connectionsMax, {
      prepare: (one) => bytesOf(inputOf(one), one.requestId ?? ''),
      onAnswer: (one, answer) => {
        answered += 1
        note(one, answer, violations)
      },
    }),
  )
  if (answered < sent.length) violations.push(`${answered} of ${sent.length} polls were answered`)
  return violations
}

/** Requests are made again rather than kept: there are many. */
function inputOf({ route, key }: Sent): SubmitInput {
  return makeSubmit({ route, seed: key, routeRequestId: key })
}

async function loadAndKill(
  site: Site,
  plan: Plan,
  violations: string[],
): Promise<ReadonlySet<Sent>> {
  const daemon = startDaemon(site)
  const sent = new Set<Sent>()
  let answered = 0
  let isKilled = false
  const kill = (): void => {
    isKilled = true
    daemon.child.kill('SIGKILL')
  }
  try {
    const first = await connectTo(site, daemon)
    first.destroy()
    await sendAll(site.address, plan.requests, connectionsMax, {
      prepare: (one) => {
        sent.add(one)
        return bytesOf(inputOf(one))
      },
      onAnswer: (one, answer) => {
        // A connection that the kill has cut off.
        if (answer === undefined && isKilled) return
        note(one, answer, violations)
        answered += 1
        if (answered === plan.killAfter) setTimeout(kill, plan.killDelayMs)
      },
    })
    if (!isKilled) throw new Error(`no kill after ${answered} answers: ${lastOf(site)}`)
    return sent
  } finally {
    daemon.child.kill('SIGKILL')
    await daemon.exit
  }
}

async function killOpening(site: Site, afterMs: number): Promise<void> {
  const daemon = startDaemon(site)
  setTimeout(() => daemon.child.kill('SIGKILL'), afterMs)
  await daemon.exit
}

/** Remembers the id of a request; it must be a job's, and the one that it had before. */
function note(one: Sent, answer: RawAnswer | undefined, violations: string[]): void {
  const id = idIn(answer)
  if (id === undefined) {
    violations.push(`${one.key}: answered ${answer?.status} ${answer?.body.trim()}, want its job`)
  } else if (one.requestId !== undefined && one.requestId !== id) {
    violations.push(`${one.key}: acknowledged as ${one.requestId}, now it is ${id}`)
  }
  one.requestId ??= id
}

async function withDaemon(site: Site, work: () => Promise<void>): Promise<void> {
  const daemon = startDaemon(site)
  try {
    const first = await connectTo(site, daemon)
    first.destroy()
    await work()
    await stopDaemon(site, daemon)
  } finally {
    daemon.child.kill('SIGKILL')
    await daemon.exit
  }
}
