import type { Fault } from './codec.js'
import { type Given, rankOf } from './given.js'
import type { Origin, Problem } from './problem.js'
import { describeOrigin } from './problem.js'
import { placeOf } from './rules.js'
import { schema } from './schema.js'

/** A problem with its place among the refusals. */
export type Placed = { readonly place: number; readonly problem: Problem }

/** One value for each setting, where it came from, and what was wrong with it. */
export type Merged = {
  readonly values: ReadonlyMap<string, unknown>
  readonly origins: ReadonlyMap<string, Origin>
  readonly problems: readonly Placed[]
  /** Settings without a usable value; rules about them would only repeat what is said already. */
  readonly broken: ReadonlySet<string>
}

/** Settings of which the highest source may give one; the others fall back to their defaults. */
const alternatives: readonly (readonly string[])[] = [
  ['covenantSigner.authToken', 'covenantSigner.authTokenFile'],
  ['covenantSigner.adminAuthToken', 'covenantSigner.adminAuthTokenFile'],
  ['vault.passphraseFile', 'vault.credential', 'vault.fd'],
]

const defaultOrigin: Origin = { kind: 'default', name: '' }

/** Takes for each setting the value of the highest source and decodes it. */
export function merge(given: readonly Given[]): Merged {
  const chosen = new Map<string, Given>()
  const problems: Placed[] = []
  for (const one of given) {
    const other = chosen.get(one.key)
    const lead = other === undefined ? 1 : rankOf[one.origin.kind] - rankOf[other.origin.kind]
    if (lead > 0) chosen.set(one.key, one)
    else if (lead === 0 && other !== undefined && other.raw !== one.raw) {
      problems.push(atForm(contradiction(one.as, other.as)))
    }
  }
  for (const keys of alternatives) problems.push(...pickAlternative(keys, chosen))
  return decodeAll(chosen, problems)
}

function pickAlternative(keys: readonly string[], chosen: Map<string, Given>): readonly Placed[] {
  const present = keys.flatMap((key) => chosen.get(key) ?? []).filter(({ raw }) => raw !== '')
  const highest = Math.max(...present.map(({ origin }) => rankOf[origin.kind]))
  const [first, ...others] = present.filter(({ origin }) => rankOf[origin.kind] === highest)
  for (const key of keys) if (first !== undefined && key !== first.key) chosen.delete(key)
  return others.map((other) => atForm(contradiction(other.as, first?.as ?? '')))
}

function decodeAll(chosen: ReadonlyMap<string, Given>, problems: Placed[]): Merged {
  const values = new Map<string, unknown>()
  const origins = new Map<string, Origin>()
  const broken = new Set<string>()
  for (const [key, codec] of schema) {
    const one = chosen.get(key)
    const decoded = one === undefined ? undefined : codec.decode(one.raw, one.folder)
    values.set(key, decoded?.kind === 'value' ? decoded.value : codec.fallback)
    origins.set(key, one?.origin ?? defaultOrigin)
    if (one === undefined || decoded?.kind !== 'faults') continue
    broken.add(key)
    for (const fault of decoded.faults) problems.push(placeFault(one, fault))
  }
  return { values, origins, problems, broken }
}

function placeFault({ key, as, origin }: Given, { at, kind, wrong }: Fault): Placed {
  const remedy = `Correct it (${describeOrigin(origin)}).`
  const problem: Problem = { key: `${as}${at}`, kind, wrong, remedy }
  return { place: kind === 'malformed' ? 0 : placeOf(key), problem }
}

function contradiction(name: string, other: string): Problem {
  const wrong = `given together with ${other}, want one of them`
  return { key: name, kind: 'malformed', wrong, remedy: 'Remove one of the two.' }
}

const atForm = (problem: Problem): Placed => ({ place: 0, problem })
