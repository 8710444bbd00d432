import { setTimeout } from 'node:timers/promises'
import { type AdminClient, connectAdmin, type JsonAnswer } from './client.js'
import { nextCommand } from './next-command.js'
import { note, type Output, printResult, renderFacts } from './output.js'
import { printable } from './printable.js'
import { type Target, type TargetFlags, targetOf } from './target.js'
import type { Context } from './usage.js'

/** Milliseconds between two looks of `--watch`. */
const watchEveryMs = 2000

/** `status`: the state document of the running daemon; status 0 when it is ready, 3 when not, 4 when out of reach. */
export async function status(
  context: Context,
  { watch = false, ...flags }: TargetFlags & { readonly watch?: boolean },
): Promise<void> {
  const { output } = context
  const target = targetOf(context, flags)
  const client = connectAdmin(target.config())
  if (watch) return watchState(output, client)
  const { document, ready } = await look(client)
  if (!ready) process.exitCode = 3
  await printResult(output, document, () => render(document))
  if (!ready) hint(output, target, document)
}

type State = { readonly document: JsonAnswer; readonly ready: boolean }

/** @throws DaemonUnreachable */
async function look(client: AdminClient): Promise<State> {
  const { body, status: answered } = await client.read('/state')
  const state = stateIn(body)
  return { document: body, ready: answered < 300 && state === 'ready' }
}

function stateIn({ state, status: named }: JsonAnswer): string {
  for (const text of [state, named]) if (typeof text === 'string') return text
  return 'unknown'
}

/** Prints the state now and after each change, one line each, until somebody stops it. */
async function watchState(output: Output, client: AdminClient): Promise<void> {
  let before = ''
  const stop = new AbortController()
  process.once('SIGINT', () => stop.abort()).once('SIGTERM', () => stop.abort())
  while (!stop.signal.aborted) {
    const { document, ready } = await look(client)
    process.exitCode = ready ? 0 : 3
    const line = output.json ? JSON.stringify(document) : renderLine(document)
    // Times and counters of the document move all the while; a person wants to see what changed.
    const told = output.json ? stateIn(document) + failing(document).join() : line
    if (told !== before) process.stdout.write(`${line}\n`)
    before = told
    await setTimeout(watchEveryMs, undefined, { signal: stop.signal }).catch(() => undefined)
  }
}

function renderLine(document: JsonAnswer): string {
  return [stateIn(document).toUpperCase(), ...failing(document)].join('  ')
}

type Check = {
  readonly name: string
  readonly ok: boolean
  readonly detail: string
  remedy: string
}

function checksIn({ checks }: JsonAnswer): readonly Check[] {
  if (!Array.isArray(checks)) return []
  return checks.flatMap((check: unknown) => {
    if (typeof check !== 'object' || check === null || !('name' in check)) return []
    const { name, ok, detail, remedy } = check as Readonly<Record<string, unknown>> // an object, as seen
    const text = (value: unknown): string => (value === undefined ? '' : String(value))
    return [{ name: text(name), ok: ok === true, detail: text(detail), remedy: text(remedy) }]
  })
}

function failing(document: JsonAnswer): readonly string[] {
  return checksIn(document)
    .filter(({ ok }) => !ok)
    .map(({ name, detail }) => printable(`${name}: ${detail}`))
}

function render(document: JsonAnswer): string {
  const { checks: _checks, ...others } = document
  const facts = Object.entries(others).flatMap(([name, value]) => factsOf(name, value, 0))
  const checks = checksIn(document).map(({ name, ok, detail, remedy }) => {
    const next = ok || remedy === '' ? '' : `\n       ${printable(remedy)}`
    return `${ok ? '[ok] ' : '[!!] '} ${printable(name)}: ${printable(detail)}${next}`
  })
  return [renderFacts(facts), ...(checks.length === 0 ? [] : [checks.join('\n')])].join('\n\n')
}

function factsOf(name: string, value: unknown, depth: number): (readonly [string, string])[] {
  if (typeof value === 'object' && value !== null && !Array.isArray(value) && depth < 3) {
    return Object.entries(value).flatMap(([inner, own]) =>
      factsOf(`${name}.${inner}`, own, depth + 1),
    )
  }
  return [[printable(name), printable(typeof value === 'string' ? value : JSON.stringify(value))]]
}

function hint(output: Output, target: Target, document: JsonAnswer): void {
  if (failing(document).some((text) => /quarantine/i.test(text))) {
    note(output, `Next: ${nextCommand(target, 'quarantine', 'list')}`)
  }
}
