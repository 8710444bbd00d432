import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'

/** One step of a traced process that a disk sees, or a line that it printed. Paths are below the root. */
export type DiskStep =
  | { readonly kind: 'say'; readonly text: string }
  | { readonly kind: 'create'; readonly path: string; readonly truncate: boolean }
  | { readonly kind: 'mkdir' | 'unlink' | 'sync'; readonly path: string }
  | { readonly kind: 'rename'; readonly path: string; readonly to: string }
  | {
      readonly kind: 'write'
      readonly path: string
      readonly offset: number
      readonly data: Buffer
    }
  | { readonly kind: 'truncate'; readonly path: string; readonly size: number }

/** What strace must record for `stepsIn`. */
export const traceForImages: readonly string[] = [
  '-y',
  '-xx',
  '-s',
  '1000000',
  '-e',
  'trace=openat,pwrite64,write,writev,fsync,fdatasync,ftruncate,fallocate,rename,unlink,unlinkat,mkdir,rmdir',
]

const fromEscapes = (text: string): Buffer => Buffer.from(text.replaceAll('\\x', ''), 'hex')
const plain = (text: string): string =>
  (text.startsWith('\\x') ? fromEscapes(text).toString() : text).replace(' (deleted)', '')

/** Reads a trace that was recorded with `traceForImages`. Failed calls changed nothing and are left out. */
export function stepsIn(trace: string, root: string): readonly DiskStep[] {
  const steps: DiskStep[] = []
  const below = (path: string): string | undefined =>
    path === root ? '' : path.startsWith(`${root}/`) ? path.slice(root.length + 1) : undefined
  for (const line of trace.split('\n')) {
    const [, name, args, result] = /^(\w+)\((.*)\)\s+= (\d+)/.exec(line) ?? []
    if (name === undefined || args === undefined) continue
    const quoted = [...args.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g)].map((found) => found[1] ?? '')
    if (name.startsWith('write') && args.startsWith('1<')) {
      steps.push({
        kind: 'say',
        text: fromEscapes(quoted.join('')).toString().trim(),
      })
      continue
    }
    const descriptor = /^\d+<(.*?)>/.exec(args)?.[1]
    const path = below(plain(descriptor ?? quoted[0] ?? ''))
    if (path === undefined) continue
    const last = Number(/(\d+)$/.exec(args)?.[1])
    const step = stepOf(name, { path, args, last, result: Number(result), quoted, below })
    if (step !== undefined) steps.push(step)
  }
  return steps
}

function stepOf(
  name: string,
  call: {
    readonly path: string
    readonly args: string
    readonly last: number
    readonly result: number
    readonly quoted: readonly string[]
    readonly below: (path: string) => string | undefined
  },
): DiskStep | undefined {
  const { path, args, last, result, quoted, below } = call
  switch (name) {
    case 'openat':
      if (!args.includes('O_CREAT')) return undefined
      return { kind: 'create', path, truncate: args.includes('O_TRUNC') }
    case 'pwrite64':
      return {
        kind: 'write',
        path,
        offset: last,
        data: fromEscapes(quoted[0] ?? '').subarray(0, result),
      }
    case 'fsync':
    case 'fdatasync':
      return { kind: 'sync', path }
    case 'ftruncate':
      return { kind: 'truncate', path, size: last }
    case 'mkdir':
      return { kind: 'mkdir', path }
    case 'unlink':
    case 'unlinkat':
      return { kind: 'unlink', path }
    case 'rename': {
      const to = below(plain(quoted[1] ?? ''))
      if (to === undefined) throw new Error(`trace: ${path} was moved out of the root`)
      return { kind: 'rename', path, to }
    }
    default:
      // A plain write has no offset, and the others would need rules of their own: the model must not guess.
      throw new Error(`trace: the power-cut model does not know ${name} on ${path}`)
  }
}

type Change =
  | { readonly kind: 'write'; readonly offset: number; readonly data: Buffer }
  | { readonly kind: 'truncate'; readonly size: number }
type NameChange =
  | { readonly kind: 'link'; readonly path: string; readonly node: number }
  | { readonly kind: 'unlink'; readonly path: string }
  | { readonly kind: 'rename'; readonly path: string; readonly to: string }

/** Content by inode: `base` is surely on disk, `pending` was written since and may be lost, singly or together. */
type Node = { readonly folder: boolean; base: Buffer; data: Buffer; pending: Change[] }

/** The files that an image holds; `undefined` content is a folder. */
export type Image = ReadonlyMap<string, Buffer | undefined>

/** What programs see, what is durable, and everything between. */
export class Disk {
  readonly #nodes: Node[] = []
  readonly #names = new Map<string, number>()
  #durable = new Map<string, number>()
  #pending: NameChange[] = []

  /** Takes a directory tree as it is, all of it durable. */
  constructor(root: string) {
    for (const name of ['', ...(readdirSync(root, { recursive: true }) as string[])]) {
      const path = join(root, name)
      const folder = statSync(path).isDirectory()
      this.#names.set(name, this.#add(folder, folder ? Buffer.alloc(0) : readFileSync(path)))
    }
    this.#durable = new Map(this.#names)
  }

  #add(folder: boolean, data: Buffer): number {
    return this.#nodes.push({ folder, base: data, data, pending: [] }) - 1
  }

  #node(path: string): Node | undefined {
    const number = this.#names.get(path)
    return number === undefined ? undefined : this.#nodes[number]
  }

  run(step: DiskStep): void {
    switch (step.kind) {
      case 'say':
        break
      case 'create':
        this.#create(step.path, false, step.truncate)
        break
      case 'mkdir':
        this.#create(step.path, true, false)
        break
      case 'write':
        this.#change(step.path, { kind: 'write', offset: step.offset, data: step.data })
        break
      case 'truncate':
        this.#change(step.path, { kind: 'truncate', size: step.size })
        break
      case 'sync':
        this.#sync(step.path)
        break
      case 'unlink':
        this.#names.delete(step.path)
        this.#pending.push({ kind: 'unlink', path: step.path })
        break
      case 'rename':
        this.#pending.push({ kind: 'rename', path: step.path, to: step.to })
        rename(this.#names, step.path, step.to)
    }
  }

  #create(path: string, folder: boolean, truncate: boolean): void {
    if (this.#names.has(path)) {
      if (truncate) this.#change(path, { kind: 'truncate', size: 0 })
      return
    }
    const node = this.#add(folder, Buffer.alloc(0))
    this.#names.set(path, node)
    this.#pending.push({ kind: 'link', path, node })
  }

  #change(path: string, change: Change): void {
    // Writes to a file that has no name any more leave nothing behind.
    const node = this.#node(path)
    if (node === undefined) return
    node.pending.push(change)
    node.data = withChanges(node.data, [change])
  }

  #sync(path: string): void {
    const node = this.#node(path)
    if (node === undefined) return
    if (!node.folder) {
      node.base = node.data
      node.pending = []
      return
    }
    const within = (change: NameChange): boolean => parent(change.path) === path
    for (const change of this.#pending.filter(within)) applyName(this.#durable, change)
    this.#pending = this.#pending.filter((change) => !within(change))
  }

  /** Every image considered for a power cut at this moment, with a label each. */
  *images(): Generator<readonly [string, Image]> {
    const writes = this.#nodes.flatMap((node) => node.pending.map((change) => ({ node, change })))
    for (const [nameLabel, names] of this.#nameVariants()) {
      for (const variant of dataVariants(writes)) {
        yield [`names ${nameLabel}, data ${variant.label}`, this.#image(names, variant)]
      }
    }
  }

  *#nameVariants(): Generator<readonly [string, ReadonlyMap<string, number>]> {
    const all = this.#pending
    const keep = (changes: readonly NameChange[]): ReadonlyMap<string, number> => {
      const names = new Map(this.#durable)
      for (const change of changes) applyName(names, change)
      return names
    }
    yield ['all', keep(all)]
    if (all.length === 0) return
    yield ['none', keep([])]
    for (let dropped = all.length - 1; dropped >= Math.max(0, all.length - 8); dropped -= 1) {
      yield [`without ${dropped + 1} of ${all.length}`, keep(all.filter((_, at) => at !== dropped))]
    }
  }

  #image(names: ReadonlyMap<string, number>, variant: DataVariant): Image {
    const image = new Map<string, Buffer | undefined>()
    for (const [path, number] of [...names].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const node = this.#nodes[number]
      if (node === undefined || !hasFolder(image, path)) continue
      image.set(path, node.folder ? undefined : variant.contentOf(node))
    }
    return image
  }
}

const parent = (path: string): string => {
  const folder = dirname(path)
  return folder === '.' ? '' : folder
}
/** A name whose folder did not survive is lost with it; the root itself is always there. */
const hasFolder = (image: Image, path: string): boolean => path === '' || image.has(parent(path))

type DataVariant = { readonly label: string; readonly contentOf: (node: Node) => Buffer }
type Write = { readonly node: Node; readonly change: Change }

/** Pending writes above which single ones are no longer tried out. */
const singleWritesMax = 40

function* dataVariants(writes: readonly Write[]): Generator<DataVariant> {
  const keep = (label: string, kept: (change: Change) => Change | undefined): DataVariant => ({
    label,
    contentOf: (node) =>
      withChanges(
        node.base,
        node.pending.flatMap((change) => kept(change) ?? []),
      ),
  })
  yield keep('all', (change) => change)
  if (writes.length === 0) return
  yield keep('none', () => undefined)
  if (writes.length <= singleWritesMax) {
    for (const [at, write] of writes.entries()) {
      const label = `${at + 1} of ${writes.length}`
      yield keep(`without ${label}`, (change) => (change === write.change ? undefined : change))
      yield keep(`only ${label}`, (change) => (change === write.change ? change : undefined))
    }
  }
  for (const { change: torn } of writes.slice(-3)) {
    if (torn.kind !== 'write') continue
    for (let cut = 512; cut < torn.data.length; cut += 512) {
      const part: Change = { ...torn, data: torn.data.subarray(0, cut) }
      yield keep(`torn at ${cut}`, (change) => (change === torn ? part : change))
    }
  }
}

function withChanges(base: Buffer, changes: readonly Change[]): Buffer {
  if (changes.length === 0) return base
  const ends = changes.map((change) => (change.kind === 'write' ? endOf(change) : change.size))
  const data = Buffer.alloc(Math.max(base.length, ...ends))
  base.copy(data)
  let size = base.length
  for (const change of changes) {
    if (change.kind === 'write') {
      change.data.copy(data, change.offset)
      size = Math.max(size, endOf(change))
    } else {
      data.fill(0, change.size)
      size = change.size
    }
  }
  return data.subarray(0, size)
}

const endOf = (change: Extract<Change, { kind: 'write' }>): number =>
  change.offset + change.data.length

function applyName(names: Map<string, number>, change: NameChange): void {
  if (change.kind === 'link') names.set(change.path, change.node)
  else if (change.kind === 'unlink') names.delete(change.path)
  else rename(names, change.path, change.to)
}

function rename(names: Map<string, number>, from: string, to: string): void {
  const node = names.get(from)
  if (node === undefined) return
  names.delete(from)
  names.set(to, node)
}

/** Equal for equal images. */
export function imageKey(image: Image): string {
  const hash = createHash('sha256')
  for (const [path, data] of image) {
    hash.update(`${path}\0${data === undefined ? 'folder' : data.length}\0`)
    if (data !== undefined) hash.update(data)
  }
  return hash.digest('hex')
}

/** Writes an image out, in place of whatever stands at `root`. `-shm` files do not outlive a power cut. */
export function writeImage(image: Image, root: string): void {
  rmSync(root, { recursive: true, force: true })
  mkdirSync(root, { recursive: true })
  for (const [path, data] of image) {
    if (path === '' || relative('', path).endsWith('-shm')) continue
    if (data === undefined) mkdirSync(join(root, path), { mode: 0o700 })
    else writeFileSync(join(root, path), data, { mode: 0o600 })
  }
}
