import { fromHex, toHex } from '../base/bytes.js'
import { isCompressedPoint } from '../base/curve.js'
import { HoldfastError } from '../base/errors.js'
import { trustRootsMax } from '../base/limits.js'
import { type Hex, isRoute, type Route } from './request.js'

/** What a trust root is for: one route, one reserve, one network. */
export type Scope = {
  readonly route: Route
  /** Lower case. */
  readonly reserve: string
  /** Trimmed, lower case. */
  readonly network: string
}

/** The depositor that an operator pinned for a scope. */
export type DepositorRoot = Scope & {
  /** 33-byte compressed point. */
  readonly publicKey: Hex
  /** 20 bytes; where it stands, approvals are checked against it instead of the key. */
  readonly ethAddress?: Hex | undefined
}

/** The custodian that an operator pinned for a scope. */
export type CustodianRoot = Scope & {
  /** 33-byte compressed point. */
  readonly publicKey: Hex
}

/** A quote issuer's key; the PEM is read when a quote first needs it. */
export type QuoteRoot = {
  readonly keyId: string
  /** SubjectPublicKeyInfo of an Ed25519 key; the two characters \n are read as a line end. */
  readonly publicKeyPem: string
}

/** Everyone an operator pinned, under the names of the settings. Made by `parseTrustRoots`. */
export type TrustRoots = {
  readonly depositorTrustRoots: readonly DepositorRoot[]
  readonly custodianTrustRoots: readonly CustodianRoot[]
  readonly migrationPlanQuoteTrustRoots: readonly QuoteRoot[]
}

/** The three lists as an operator wrote them (covenant signer specification, 16.1). */
export type TrustRootSettings = {
  readonly depositorTrustRoots?: readonly ScopedRootSetting[] | undefined
  readonly custodianTrustRoots?: readonly Omit<ScopedRootSetting, 'ethAddress'>[] | undefined
  readonly migrationPlanQuoteTrustRoots?: readonly QuoteRoot[] | undefined
}

/** One depositor or custodian entry as written; hex in any case. */
export type ScopedRootSetting = {
  readonly route: string
  readonly reserve: string
  readonly network: string
  readonly publicKey: string
  /** 20 bytes, 0x optional; '' counts as absent. */
  readonly ethAddress?: string | undefined
}

/** No one pinned: the keys in a request's own template are trusted. */
export const noTrustRoots: TrustRoots = {
  depositorTrustRoots: [],
  custodianTrustRoots: [],
  migrationPlanQuoteTrustRoots: [],
}

/** The scope of a request or of an issue call; reserve and network as sent. */
export function scopeOf(route: Route, reserve: string, network: string): Scope {
  return { route, reserve: reserve.toLowerCase(), network: network.trim().toLowerCase() }
}

/** The depositor pinned for exactly this scope. */
export function findDepositorRoot(roots: TrustRoots, scope: Scope): DepositorRoot | undefined {
  return roots.depositorTrustRoots.find((root) => sameScope(root, scope))
}

/** The custodian pinned for exactly this scope. */
export function findCustodianRoot(roots: TrustRoots, scope: Scope): CustodianRoot | undefined {
  return roots.custodianTrustRoots.find((root) => sameScope(root, scope))
}

/**
 * Checks the three lists and brings them into the form that look-ups expect (covenant signer specification, 16.2).
 *
 * @throws TrustRootInvalid naming the first entry that breaks a rule.
 */
export function parseTrustRoots(settings: TrustRootSettings): TrustRoots {
  const depositors = parseList('depositorTrustRoots', settings.depositorTrustRoots ?? [])
  const custodians = parseList('custodianTrustRoots', settings.custodianTrustRoots ?? [])
  refuseMixedPinning(depositors)
  return {
    depositorTrustRoots: depositors,
    custodianTrustRoots: custodians.map(({ ethAddress: _, ...root }) => root),
    migrationPlanQuoteTrustRoots: parseQuoteRoots(settings.migrationPlanQuoteTrustRoots ?? []),
  }
}

function sameScope(a: Scope, b: Scope): boolean {
  return a.route === b.route && a.reserve === b.reserve && a.network === b.network
}

function scopeKey({ route, reserve, network }: Scope): string {
  return `${route}:${reserve}:${network}`
}

function parseList(name: string, entries: readonly ScopedRootSetting[]): readonly DepositorRoot[] {
  refuseLongList(name, entries.length)
  const seen = new Set<string>()
  return entries.map((entry, index) => {
    const root = parseScopedRoot(`${name}[${index}]`, entry)
    const key = scopeKey(root)
    if (seen.has(key)) {
      throw new TrustRootInvalid(`${name}[${index}]`, 'repeats route, reserve and network', 'one')
    }
    seen.add(key)
    return root
  })
}

function parseScopedRoot(name: string, entry: ScopedRootSetting): DepositorRoot {
  const { route, publicKey, ethAddress } = entry
  if (!isRoute(route)) throw new TrustRootInvalid(`${name}.route`, 'unknown', 'self_v1 or qc_v1')
  readHex(`${name}.reserve`, entry.reserve)
  if (entry.network.trim() === '') {
    throw new TrustRootInvalid(`${name}.network`, 'blank', 'a network name')
  }
  if (!isCompressedPoint(readHex(`${name}.publicKey`, publicKey))) {
    const wanted = 'a compressed secp256k1 public key'
    throw new TrustRootInvalid(`${name}.publicKey`, 'no point on the curve', wanted)
  }
  const scoped = {
    ...scopeOf(route, entry.reserve, entry.network),
    publicKey: publicKey.toLowerCase() as Hex,
  }
  if (ethAddress === undefined || ethAddress === '') return scoped
  return { ...scoped, ethAddress: parseEthAddress(`${name}.ethAddress`, ethAddress) }
}

function readHex(name: string, text: string): Uint8Array {
  if (!/^0x[0-9a-fA-F]+$/.test(text) || text.length % 2 !== 0) {
    throw new TrustRootInvalid(name, 'not hex', '0x and an even number of hex digits')
  }
  return fromHex(text.slice(2))
}

function parseEthAddress(name: string, text: string): Hex {
  const digits = text.startsWith('0x') ? text.slice(2) : text
  if (!/^[0-9a-fA-F]{40}$/.test(digits)) {
    throw new TrustRootInvalid(name, 'not an address', '20 bytes of hex')
  }
  if (/^0+$/.test(digits)) throw new TrustRootInvalid(name, 'zero', 'the address of a wallet')
  return `0x${toHex(fromHex(digits))}`
}

/** A caller that may choose the network must not be able to choose the weaker check with it. */
function refuseMixedPinning(roots: readonly DepositorRoot[]): void {
  const pinned = new Map<string, boolean>()
  for (const [index, root] of roots.entries()) {
    const key = `${root.route}:${root.reserve}`
    const pins = root.ethAddress !== undefined
    if ((pinned.get(key) ?? pins) !== pins) {
      const wanted = 'it for every network of the route and reserve, or for none'
      const name = `depositorTrustRoots[${index}].ethAddress`
      throw new TrustRootInvalid(name, 'set for some networks only', wanted)
    }
    pinned.set(key, pins)
  }
}

function parseQuoteRoots(entries: readonly QuoteRoot[]): readonly QuoteRoot[] {
  refuseLongList('migrationPlanQuoteTrustRoots', entries.length)
  return entries.map(({ keyId, publicKeyPem }, index) => {
    const trimmed = keyId.trim()
    if (trimmed === '') {
      const name = `migrationPlanQuoteTrustRoots[${index}].keyId`
      throw new TrustRootInvalid(name, 'blank', 'the id that quotes name')
    }
    return { keyId: trimmed, publicKeyPem }
  })
}

function refuseLongList(name: string, length: number): void {
  if (length <= trustRootsMax) return
  throw new TrustRootInvalid(name, `holds ${length} entries`, `at most ${trustRootsMax}`)
}

/** A configured trust root breaks a rule; the service must not start. */
export class TrustRootInvalid extends HoldfastError {
  readonly code = 'TrustRootInvalid'
  constructor(name: string, wrong: string, wanted: string) {
    super(`${name}: ${wrong}, want ${wanted}`, {
      retry: 'after-fix',
      remedy: 'Correct the entry in the settings and start again.',
    })
  }
}
