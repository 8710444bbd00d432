import type { Findings, JobSeen } from './helper.js'
import type { LifeConfig } from './life.mjs'
import { type Event, saidOf } from './run.js'
import type { Start } from './starts.js'

/** Everything that is known when a directory is judged. */
export type Case = {
  readonly start: Start
  /** What all lives before the judge's said, in order. */
  readonly said: readonly Event[]
  /** What the last of them said. */
  readonly own: readonly Event[]
  /** The signer's own record over all lives, the judge's included. */
  readonly asked: readonly Asked[]
  /** How the judge's life was run. */
  readonly engine: LifeConfig['engine']
  /** False when the process died or the power went: then it need not have said how it ended. */
  readonly hasEnded: boolean
  readonly findings: Findings
}
export type Asked = {
  readonly requestId: string
  readonly outpoint: string
  readonly sighash: string
}

type Answer = { readonly requestId: string; readonly status: string } & Readonly<
  Record<string, unknown>
>

/** Everything that must not be, in words. */
export function violationsOf(judged: Case): readonly string[] {
  return [
    ...wordsOf(judged),
    ...signerOf(judged),
    ...jobsOf(judged),
    ...answersOf(judged),
    ...storeOf(judged),
  ]
}

/** What the lives said of themselves. */
function wordsOf({ said, hasEnded, findings }: Case): string[] {
  const found: string[] = []
  for (const { typed, shown } of saidOf<Trouble>(said, 'ERR')) {
    if (!typed) found.push(`an untyped error: ${shown}`)
  }
  if (hasEnded && !said.some(({ word }) => word === 'DONE' || word === 'ERR')) {
    found.push('the process ended without a word')
  }
  for (const events of [findings.first.events, findings.second.events]) {
    for (const { word, detail } of events) {
      const isWait = (detail as Trouble | undefined)?.message?.includes('has to wait')
      const isFence = (detail as Trouble | undefined)?.message?.includes('was set aside')
      if (word === 'ERR' || word === 'STUCK' || (word === 'WARN' && !isWait && !isFence)) {
        found.push(`without any fault: ${word} ${JSON.stringify(detail)}`)
      }
    }
    if (!events.some(({ word }) => word === 'DONE'))
      found.push('a later life did not come to an end')
  }
  return found
}

type Trouble = {
  readonly typed: boolean
  readonly shown: string
  readonly message?: string
}

/** One sighash for an outpoint, for ever, and none that is not in both witnesses. */
function signerOf({ start, said, own, asked, findings }: Case): string[] {
  const found: string[] = []
  const byOutpoint = new Map<string, Set<string>>()
  for (const { outpoint, sighash } of asked) {
    const known = byOutpoint.get(outpoint) ?? new Set()
    byOutpoint.set(outpoint, known.add(sighash))
    if (known.size === 2) found.push(`the signer was asked for two sighashes of ${outpoint}`)
  }
  const { rows, lines } = findings.witnesses
  // What was taken out of a file on purpose is put back by the next life, before anything is signed.
  const signed = saidOf<Asked>(start.made.kind === 'hurt' ? own : said, 'SIGN')
  for (const { outpoint, sighash } of signed) {
    const intent = `${outpoint} ${sighash}`
    if (!rows.includes(intent)) found.push(`signed, but not in the database: ${intent}`)
    if (!lines.includes(intent)) found.push(`signed, but not in the ledger: ${intent}`)
  }
  return found
}

/** No job that was taken is lost, none is there twice, each comes to its end without a client. */
function jobsOf({ start, said, engine, findings }: Case): string[] {
  const { found } = findings.first
  if (found === undefined) return ['the store could not be opened again']
  const problems: string[] = []
  const names = new Map(
    saidOf<{ requestId: string; name?: string }>(said, 'TAKEN').map((taken) => [
      taken.requestId,
      taken.name ?? '',
    ]),
  )
  for (const { id, kind, state } of found.atFirst) {
    const mayBeClosed = start.fenced.includes(names.get(id) ?? '')
    if (kind === 'fenced' && mayBeClosed) continue
    if (kind !== 'found') problems.push(`job ${id} was taken and is ${kind}`)
    else if (!isFinal(state)) problems.push(`job ${id} did not come to its end: ${state}`)
  }
  for (const { id, kind, state } of found.atLast) {
    if (kind !== 'found' || !isFinal(state)) {
      problems.push(`job ${id} is ${kind} ${state ?? ''} although its request came again`)
    }
  }
  for (const { requestId, state } of found.ended) {
    if (!isFinal(state)) problems.push(`job ${requestId} did not come to its end: ${state}`)
  }
  for (const { name, requestId } of found.resent) {
    if (requestId === undefined) problems.push(`${name}: its request was not taken again`)
    const before = [...names].find(([, known]) => known === name)?.[0]
    if (before !== undefined && requestId !== before) problems.push(`${name}: has a second job`)
  }
  const keys = found.jobs.map(({ key }) => key)
  if (new Set(keys).size !== keys.length) problems.push(`keys with two jobs: ${keys.join(', ')}`)
  if (engine === 'steady' && start.op !== 'batch') {
    problems.push(...endsOf(found.resent, found.jobs))
  }
  return problems
}

/** How the four requests must end when nothing of their world changed between two lives. */
function endsOf(
  resent: readonly { readonly name: string; readonly requestId?: string }[],
  jobs: readonly JobSeen[],
): string[] {
  const stateOf = (name: string): string | undefined => {
    const id = resent.find((one) => one.name.endsWith(name))?.requestId
    return jobs.find(({ requestId }) => requestId === id)?.state
  }
  const signed = ['ARTIFACT_READY', 'HANDOFF_READY']
  const found: string[] = []
  const defers = stateOf('-defers') ?? ''
  if (!signed.includes(defers)) found.push(`the job that waits ended as ${defers}`)
  if (stateOf('-fails') !== 'FAILED') found.push(`the refused job ended as ${stateOf('-fails')}`)
  const pair = [stateOf('-signs'), stateOf('-rival')].sort().join(' ')
  if (pair !== 'ARTIFACT_READY FAILED') found.push(`two jobs of one outpoint ended as ${pair}`)
  return found
}

const isFinal = (state: string | undefined): boolean =>
  state === 'ARTIFACT_READY' || state === 'HANDOFF_READY' || state === 'FAILED'

/** What was once shown of a job is shown for ever. */
function answersOf({ said, findings }: Case): string[] {
  const found: string[] = []
  const shown = new Map<string, string>()
  const all = [...said, ...findings.first.events, ...findings.second.events]
  for (const { status, requestId, ...rest } of saidOf<Answer>(all, 'ANSWER')) {
    const { detail, reason, psbtHash, transactionHex, handoff } = rest
    const result = JSON.stringify({ detail, reason, psbtHash, transactionHex, handoff })
    const before = shown.get(requestId)
    if (before !== undefined && before !== result) {
      found.push(`job ${requestId} has shown two results:\n  ${before}\n  ${result}`)
    }
    shown.set(requestId, result)
  }
  for (const life of [findings.first.found, findings.second.found]) {
    for (const { requestId, result } of life?.jobs ?? []) {
      const before = shown.get(requestId)
      if (before !== undefined && before !== result) {
        found.push(`job ${requestId} has another result than it showed:\n  ${before}\n  ${result}`)
      }
    }
  }
  return found
}

/** The store itself: nothing set aside that was not hurt, both witnesses whole, the same at every opening. */
function storeOf({ start, findings }: Case): string[] {
  const { first, second, ledger } = findings
  const problems: string[] = []
  if (first.found?.newKeys === false) problems.push('no new key is taken')
  const set = first.found?.quarantined ?? []
  if (set.length > start.fenced.length) {
    problems.push(`set aside: ${set.map(({ id, reason }) => `${id} ${reason}`).join(', ')}`)
  }
  if ((first.found?.again.fenced ?? 0) > 0) problems.push('comparing again fenced something')
  if ((first.found?.again.linesAppended ?? 0) > 0) problems.push('comparing again added lines')
  if (ledger.damaged.length > 0) problems.push(`the ledger: ${ledger.damaged.join(', ')}`)
  if (ledger.isTorn) problems.push('the ledger has a torn tail after an orderly end')
  if (second.found === undefined) return [...problems, 'the store could not be opened once more']
  if (!second.found.newKeys) problems.push('opened once more it takes no new key')
  if (second.found.quarantined > 0) problems.push('opened once more it has records set aside')
  const before = JSON.stringify(first.found?.jobs)
  if (first.found !== undefined && JSON.stringify(second.found.jobs) !== before) {
    problems.push('opened once more it has other jobs')
  }
  return problems
}
