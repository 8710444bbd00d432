import { createHash, timingSafeEqual } from 'node:crypto'

/** What an `Authorization` header is worth. */
export type Credential = 'good' | 'missing' | 'invalid'

/** Judges an `Authorization` header; `undefined` when the request has none. */
export type BearerCheck = (authorization: string | undefined) => Credential

/** Checks bearer tokens against the configured one; an empty one switches the check off. */
export function checkBearer(token: string): BearerCheck {
  return token.trim() === '' ? () => 'good' : compareBearer(token)
}

/** As `checkBearer`, but an empty configured token opens to nobody. */
export function requireBearer(token: string): BearerCheck {
  if (token.trim() !== '') return compareBearer(token)
  return (authorization) => (authorization?.startsWith(prefix) ? 'invalid' : 'missing')
}

const prefix = 'Bearer '

function compareBearer(token: string): BearerCheck {
  const wanted = digest(token.trim())
  return (authorization) => {
    if (!authorization?.startsWith(prefix)) return 'missing'
    // The runtime hands header bytes out as Latin-1.
    const given = Buffer.from(authorization.slice(prefix.length), 'latin1').toString('utf8')
    return timingSafeEqual(digest(given.trim()), wanted) ? 'good' : 'invalid'
  }
}

/** Digests are compared instead of tokens, so that not even a length shows. */
const digest = (text: string): Uint8Array =>
  new Uint8Array(createHash('sha256').update(text).digest())
