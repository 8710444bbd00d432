import type { Route } from '../covenant/index.js'

/** The path of a request target, its percent signs decoded once; one character per byte. */
export type WirePath = {
  readonly text: string
  /** What stands between slashes, each decoded for itself: an escaped slash separates nothing. */
  readonly segments: readonly string[]
}

/** What a method and a path lead to on the compatible listener. */
export type Place =
  | { readonly kind: 'health' }
  | { readonly kind: 'notFound' }
  | { readonly kind: 'issue' }
  | { readonly kind: 'submit'; readonly route: Route }
  | { readonly kind: 'poll'; readonly route: Route }
  /** Poll with the id in the path; without an id for a path that is found wrong only after a token is spent. */
  | { readonly kind: 'pollPath'; readonly route: Route; readonly requestId: string | undefined }
  | { readonly kind: 'wrongMethod'; readonly allow: string; readonly message: string }

/** Reads the path of a request target; undefined for one that is no target at all. */
export function readPath(target: string): WirePath | undefined {
  const absolute = /^https?:\/\/[^/?]*/i.exec(target)
  const path = (absolute === null ? target : target.slice(absolute[0].length)).replace(/\?.*$/s, '')
  if (absolute === null && !path.startsWith('/') && path !== '*') return undefined
  const text = percentDecode(path)
  if (text === undefined) return undefined
  return { text, segments: path.split('/').map((segment) => percentDecode(segment) ?? '') }
}

/** Finds what a request is for; the credential has been checked before. */
export function findPlace(method: string, path: WirePath, enableSelfV1: boolean): Place {
  const [root, first, second, third, fourth] = path.segments
  const { length } = path.segments
  if (root !== '') return nowhere
  if (length === 2 && first === 'healthz') {
    return method === 'GET' || method === 'HEAD' ? { kind: 'health' } : usualRefusal('GET, HEAD')
  }
  if (first !== 'v1') return nowhere
  if (length === 4 && second === 'admin' && third === 'signer-approval-certificates') {
    return method === 'POST' ? { kind: 'issue' } : usualRefusal('POST')
  }
  const route = routeOf(second, enableSelfV1)
  if (route === undefined || third !== 'signer') return nowhere
  if (length === 5 && fourth === 'requests') {
    return method === 'POST' ? { kind: 'submit', route } : usualRefusal('POST')
  }
  if (length === 5 && fourth === 'requests:poll') {
    return method === 'POST' ? { kind: 'poll', route } : usualRefusal('POST')
  }
  if (length < 6 || fourth !== 'requests') return nowhere
  if (method !== 'POST') {
    return { kind: 'wrongMethod', allow: 'POST', message: 'method not allowed' }
  }
  return { kind: 'pollPath', route, requestId: requestIdIn(path.segments.slice(5).join('/')) }
}

const nowhere: Place = { kind: 'notFound' }

/** The path form of poll has its own words for a wrong method; these are everybody else's. */
const usualRefusal = (allow: string): Place => ({
  kind: 'wrongMethod',
  allow,
  message: 'Method Not Allowed',
})

function routeOf(segment: string | undefined, enableSelfV1: boolean): Route | undefined {
  if (segment === 'qc_v1') return 'qc_v1'
  return segment === 'self_v1' && enableSelfV1 ? 'self_v1' : undefined
}

/** The id before `:poll`, decoded for the second time; undefined when nothing sound is left. */
function requestIdIn(rest: string): string | undefined {
  if (!rest.endsWith(':poll')) return undefined
  const id = percentDecode(rest.slice(0, -':poll'.length))
  if (id === undefined || id === '' || id.includes('/')) return undefined
  return Buffer.from(id, 'latin1').toString('utf8')
}

/** Undefined for a percent sign without two hex digits. */
function percentDecode(text: string): string | undefined {
  if (/%(?![0-9a-fA-F]{2})/.test(text)) return undefined
  return text.replace(/%(..)/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  )
}
