import type { Clock } from '../base/clock.js'
import { Aborted, HoldfastError } from '../base/errors.js'
import { heightSourcesMax } from '../base/limits.js'
import type { Engine, SourceHeight } from './engine.js'
import type { SignerApproval } from './request.js'
import { within } from './schedule.js'
import type { JobStore } from './store.js'
import { HostHeightUnavailable } from './validate-certificate.js'

/** Blocks that the host chain may be ahead of what elapsed time explains. */
const slackBlocks = 100
/** No host chain makes blocks faster than this. */
const blockMsMin = 1000
const slackMsMax = slackBlocks * blockMsMin

/** What is known of the host chain's height at one moment. */
export type HostHeight = {
  /** The highest height that elapsed time allows, never below the durable maximum. */
  readonly height: bigint
  /** The highest height that a source claims, never below `height`. */
  readonly claimed: bigint
  /** What each source that answered claims; never empty. */
  readonly sources: readonly SourceHeight[]
}

/**
 * What a height says of a certificate.
 *
 * `disputed`: some source claims a height past the certificate's end that elapsed time does not allow. Then nothing
 * is signed and nothing is failed.
 */
export type Expiry = 'timely' | 'lapsed' | 'disputed'

/** Reads the host chain's height so that no source can move it faster than time allows. */
export interface HeightGuard {
  /** Whether there is any source at all. */
  readonly available: boolean
  /** How many sources ever answered. */
  readonly sourcesSeen: number
  /** @throws HostHeightUnavailable when no source answers, Aborted */
  read(signal: AbortSignal): Promise<HostHeight>
}

/** How far a height may rise; `slackMs` is what is left of the blocks that time does not explain. */
export type RiseBudget = {
  readonly height: bigint
  readonly atMs: number
  readonly slackMs: number
}

/** A budget that starts at a height which is relied on. */
export function riseFrom(height: bigint, atMs: number): RiseBudget {
  return { height, atMs, slackMs: slackMsMax }
}

/** Raises a height to what is claimed, at most by a block for each elapsed second and what slack is left. */
export function rise(budget: RiseBudget, claimed: bigint, nowMs: number): RiseBudget {
  const roomMs = budget.slackMs + Math.max(0, nowMs - budget.atMs)
  const allowed = BigInt(Math.floor(roomMs / blockMsMin))
  const wanted = claimed > budget.height ? claimed - budget.height : 0n
  const risen = wanted < allowed ? wanted : allowed
  return {
    height: budget.height + risen,
    atMs: Math.max(nowMs, budget.atMs),
    slackMs: Math.min(slackMsMax, roomMs - Number(risen) * blockMsMin),
  }
}

/**
 * Guards the heights of an engine with the durable maximum of a store.
 *
 * @remarks With no durable maximum the first answer is believed. Only a height that time allows becomes durable, so
 * one mistaken source cannot end every certificate for good.
 */
export function createHeightGuard(deps: {
  readonly heights: Engine['heights']
  readonly store: Pick<JobStore, 'hostHeight' | 'noteHostHeight'>
  readonly clock: Clock
}): HeightGuard {
  const { heights, store, clock } = deps
  const openedAtMs = clock.nowMs()
  const seen = new Set<string>()
  let budget: RiseBudget | undefined

  /** The budget, begun anew when somebody else moved the durable maximum, as an operator's reset does. */
  function budgetFor(claimed: bigint): RiseBudget {
    const durable = store.hostHeight()
    if (budget !== undefined && (durable === undefined || durable === budget.height)) return budget
    if (durable === undefined) return riseFrom(claimed, clock.nowMs())
    return riseFrom(durable, budget?.atMs ?? openedAtMs)
  }

  return {
    available: heights !== undefined,
    get sourcesSeen() {
      return seen.size
    },
    async read(signal) {
      const sources = await askSources(heights, signal)
      for (const { source } of sources) if (seen.size < heightSourcesMax) seen.add(source)
      const highest = sources.reduce((high, { height }) => (height > high ? height : high), 0n)
      budget = rise(budgetFor(highest), highest, clock.nowMs())
      if (budget.height !== store.hostHeight()) store.noteHostHeight(budget.height)
      const { height } = budget
      return { height, claimed: highest > height ? highest : height, sources }
    },
  }
}

async function askSources(
  heights: Engine['heights'],
  signal: AbortSignal,
): Promise<readonly SourceHeight[]> {
  if (heights === undefined) throw new HostHeightUnavailable()
  const sources = await within(heights(signal), signal, 'host chain height').catch(
    (cause: unknown) => {
      throw cause instanceof Aborted ? cause : new HostHeightUnavailable(cause)
    },
  )
  if (sources.length === 0) throw new HostHeightUnavailable()
  return sources
}

/** A certificate is good up to and with its end. */
export function expiryAt(reading: HostHeight, endBlock: bigint): Expiry {
  if (reading.claimed <= endBlock) return 'timely'
  return reading.height > endBlock ? 'lapsed' : 'disputed'
}

/**
 * The height that a client's certificate is held against; undefined when there is nothing to ask or nobody to be asked.
 *
 * @remarks Where all sources agree that a certificate has ended, a client is told so, also when the rise is more than
 * time allows: nothing durable follows from it.
 * @throws HostHeightUnavailable
 */
export async function heightForCertificate(
  guard: HeightGuard,
  certificate: SignerApproval | undefined,
  signal: AbortSignal,
): Promise<bigint | undefined> {
  const endBlock = certificate?.endBlock ?? undefined
  if (endBlock === undefined || !guard.available) return undefined
  const reading = await guard.read(signal)
  if (expiryAt(reading, endBlock) !== 'disputed') return reading.height
  if (reading.sources.every(({ height }) => height > endBlock)) return reading.claimed
  throw new HostHeightUnavailable(new HeightImplausible(reading))
}

/** A source claims a height that the host chain cannot have reached since it was last read. */
export class HeightImplausible extends HoldfastError {
  readonly code = 'HeightImplausible'
  constructor({ height, sources }: HostHeight) {
    const wrong = sources.filter((source) => source.height > height)
    const claims = wrong.map((source) => `${source.source} claims ${source.height}`).join(', ')
    super(`host chain: ${claims}, want at most ${height} by now`, {
      retry: 'safe',
      remedy: 'Check the named source; if it is right, time makes up for the difference.',
    })
  }
}
