import type { Outpoint, RequestId } from '../../covenant/job.js'
import type { QuarantineRecord } from '../../covenant/store.js'
import type { KnownJob, RouteKey } from './import-target.js'
import type { DamageCode } from './job-file.js'
import type { SourceFile } from './source.js'

/** What was read of a file, without its request. */
export type ReadFile = SourceFile & {
  readonly sha256: string
  readonly sizeBytes: number
  /** The request id that the file's name carries. */
  readonly nameId: RequestId | undefined
  readonly content: Intact | Damaged
}

type Intact = {
  readonly kind: 'job'
  readonly requestId: RequestId
  readonly key: RouteKey
  readonly outpoint: Outpoint
  /** Undefined for a time that cannot be parsed. */
  readonly updatedAtNs: bigint | undefined
}

type Damaged = {
  readonly kind: 'damaged'
  readonly code: DamageCode
  readonly reason: string
  readonly requestId?: string
  readonly key?: RouteKey
  readonly outpoint?: Outpoint
}

type IntactFile = ReadFile & { readonly content: Intact }

/** `sharedId`: other files claim its request id. `contestedKey`: a file that was set aside claims its key. */
export type QuarantineCode = DamageCode | 'sharedId' | 'contestedKey'

/** Which rule decided between two files of one route key; `sameFile`: a copy in the legacy directory. */
export type SupersededBy = 'laterTime' | 'validTime' | 'smallerId' | 'sameFile'

export type LoadedFile = SourceFile & {
  readonly requestId: RequestId
  readonly key: RouteKey
  readonly sha256: string
}

export type SupersededFile = LoadedFile & {
  readonly by: RequestId
  readonly rule: SupersededBy
}

export type QuarantinedFile = SourceFile & {
  readonly code: QuarantineCode
  readonly reason: string
  readonly blocks: QuarantineRecord['blocks']
  /** The id that the file's name carries. */
  readonly requestId: RequestId | undefined
  /** Of the bytes that could be read. */
  readonly sha256: string
  readonly sizeBytes: number
}

/** One verdict per file, each list sorted by `file`. */
export type Verdicts = {
  readonly loaded: readonly LoadedFile[]
  readonly superseded: readonly SupersededFile[]
  readonly quarantined: readonly QuarantinedFile[]
}

/**
 * Decides what each file of a directory stands for; the order of the files makes no difference.
 *
 * - Files that claim one request id are all set aside, but for copies with the same bytes.
 * - A file whose key is claimed by one that was set aside is set aside too: nobody knows which is the later.
 * - Among the others of one key the later valid time wins, then the smaller request id; a valid time wins over an
 *   invalid one.
 *
 * @param witnessed keys of ids that another witness knows, for files that do not say theirs
 */
export function judgeFiles(
  found: readonly ReadFile[],
  witnessed: ReadonlyMap<RequestId, KnownJob>,
): Verdicts {
  const files = [...found].sort((a, b) => (a.file < b.file ? -1 : 1))
  const copies = findCopies(files)
  const shared = sharedIds(files.filter((file) => !copies.has(file)))
  const knownKeys = keysByName(files, witnessed)
  const quarantined: QuarantinedFile[] = []
  const standing: IntactFile[] = []
  const superseded: SupersededFile[] = []
  for (const file of files) {
    const original = copies.get(file)
    const rivals = (file.nameId && shared.get(file.nameId))?.filter((rival) => rival !== file)
    if (isIntact(file) && original !== undefined) {
      superseded.push({ ...loadedOf(file), by: original.content.requestId, rule: 'sameFile' })
    } else if (isIntact(file) && rivals !== undefined) {
      const names = rivals.map((rival) => rival.file).join(', ')
      const reason = `${names} claims the same request id`
      quarantined.push(setAside(file, 'sharedId', reason, blocksOf(file, knownKeys)))
    } else if (isIntact(file)) {
      standing.push(file)
    } else if (file.content.kind === 'damaged') {
      const { code, reason } = file.content
      const blocks = blocksOf(file, knownKeys, original)
      quarantined.push(setAside(file, code, reason, blocks))
    }
  }
  const contested = closedKeys(quarantined)
  const rest: IntactFile[] = []
  for (const file of standing) {
    const closer = contested.get(textOfKey(file.content.key))
    if (closer === undefined) rest.push(file)
    else {
      const reason = `${closer} claims the same route key and was set aside`
      quarantined.push(setAside(file, 'contestedKey', reason, blocksOf(file, knownKeys)))
    }
  }
  const contests = settleKeys(rest)
  return {
    loaded: contests.loaded,
    superseded: [...superseded, ...contests.superseded].sort(byFile),
    quarantined: quarantined.sort(byFile),
  }
}

/** A route key as one text; the route has no colon. */
export function textOfKey({ route, routeRequestId }: RouteKey): string {
  return `${route}:${routeRequestId}`
}

function byFile(a: SourceFile, b: SourceFile): number {
  return a.file < b.file ? -1 : 1
}

function isIntact(file: ReadFile): file is IntactFile {
  return file.content.kind === 'job'
}

/** Files that say byte for byte what an intact one says: legacy twins, and copies under another name. */
function findCopies(files: readonly ReadFile[]): ReadonlyMap<ReadFile, IntactFile> {
  const originals = new Map<string, IntactFile>()
  for (const file of files) {
    const known = originals.get(file.sha256)
    if (isIntact(file) && (known === undefined || known.legacy)) originals.set(file.sha256, file)
  }
  const copies = new Map<ReadFile, IntactFile>()
  for (const file of files) {
    const original = originals.get(file.sha256)
    if (original !== undefined && original !== file) copies.set(file, original)
  }
  return copies
}

/** Ids that more than one file claims, by name or by content. */
function sharedIds(files: readonly ReadFile[]): ReadonlyMap<string, readonly ReadFile[]> {
  const claims = new Map<string, ReadFile[]>()
  for (const file of files) {
    const ids = new Set<string>()
    if (file.nameId !== undefined) ids.add(file.nameId)
    if (file.content.requestId !== undefined) ids.add(file.content.requestId)
    for (const id of ids) {
      const claimants = claims.get(id)
      if (claimants === undefined) claims.set(id, [file])
      else claimants.push(file)
    }
  }
  return new Map([...claims].filter(([, claimants]) => claimants.length > 1))
}

/** What an intact file, or else another witness, says of the id in a file's name. */
function keysByName(
  files: readonly ReadFile[],
  witnessed: ReadonlyMap<RequestId, KnownJob>,
): ReadonlyMap<RequestId, readonly KnownJob[]> {
  const known = new Map<RequestId, KnownJob[]>()
  const add = (id: RequestId, job: KnownJob): void => {
    const jobs = known.get(id)
    if (jobs === undefined) known.set(id, [job])
    else jobs.push(job)
  }
  for (const [id, job] of witnessed) add(id, job)
  for (const file of files) if (isIntact(file)) add(file.content.requestId, file.content)
  return known
}

/** What stays closed while a file is set aside. */
function blocksOf(
  { nameId, content }: ReadFile,
  known: ReadonlyMap<RequestId, readonly KnownJob[]>,
  original?: ReadFile,
): QuarantineRecord['blocks'] {
  const keys = new Map<string, RouteKey>()
  const outpoints = new Set<Outpoint>()
  // An intact file with the same bytes holds the key already.
  if (original === undefined) {
    if (content.key !== undefined) keys.set(textOfKey(content.key), content.key)
    if (content.outpoint !== undefined) outpoints.add(content.outpoint)
  }
  const aboutItself = content.requestId === undefined || content.requestId === nameId
  const saysOwnKey = content.key !== undefined && (aboutItself || nameId === undefined)
  const others = nameId === undefined ? [] : (known.get(nameId) ?? [])
  // The job that the name belongs to may have any key when neither the content nor a witness says it.
  const everyNewKey = !saysOwnKey && others.length === 0
  for (const { key, outpoint } of saysOwnKey ? [] : others) {
    keys.set(textOfKey(key), key)
    outpoints.add(outpoint)
  }
  return { keys: [...keys.values()], outpoints: [...outpoints].sort(), everyNewKey }
}

function setAside(
  file: ReadFile,
  code: QuarantineCode,
  reason: string,
  blocks: QuarantineRecord['blocks'],
): QuarantinedFile {
  const { name, path, legacy, sha256, sizeBytes, nameId } = file
  const where = { file: file.file, name, path, legacy }
  return { ...where, code, reason, blocks, requestId: nameId, sha256, sizeBytes }
}

/** The first file that closes each key. */
function closedKeys(quarantined: readonly QuarantinedFile[]): ReadonlyMap<string, string> {
  const closed = new Map<string, string>()
  for (const { file, blocks } of quarantined) {
    for (const key of blocks.keys) {
      const text = textOfKey(key)
      if (!closed.has(text)) closed.set(text, file)
    }
  }
  return closed
}

function settleKeys(files: readonly IntactFile[]): Pick<Verdicts, 'loaded' | 'superseded'> {
  const holders = new Map<string, IntactFile>()
  for (const file of files) {
    const key = textOfKey(file.content.key)
    const holder = holders.get(key)
    if (holder === undefined || ruleFor(file, holder) !== undefined) holders.set(key, file)
  }
  const loaded: LoadedFile[] = []
  const superseded: SupersededFile[] = []
  for (const file of files) {
    const holder = holders.get(textOfKey(file.content.key))
    if (holder === undefined || holder === file) loaded.push(loadedOf(file))
    else {
      const rule = ruleFor(holder, file) ?? 'smallerId'
      superseded.push({ ...loadedOf(file), by: holder.content.requestId, rule })
    }
  }
  return { loaded, superseded }
}

/** The rule by which the first file wins over the second, `undefined` when it does not. */
function ruleFor(first: IntactFile, second: IntactFile): SupersededBy | undefined {
  const [ours, theirs] = [first.content.updatedAtNs, second.content.updatedAtNs]
  if (ours !== undefined && theirs === undefined) return 'validTime'
  if (ours === undefined && theirs !== undefined) return undefined
  if (ours !== undefined && theirs !== undefined && ours !== theirs) {
    return ours > theirs ? 'laterTime' : undefined
  }
  return first.content.requestId < second.content.requestId ? 'smallerId' : undefined
}

function loadedOf({ file, name, path, legacy, sha256, content }: IntactFile): LoadedFile {
  const { requestId, key } = content
  return { file, name, path, legacy, requestId, key, sha256 }
}
