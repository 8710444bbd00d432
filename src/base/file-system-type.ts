import { statfsSync } from 'node:fs'

/** What a caller may relax, and what a test may hand in. */
export type FileSystemOptions = {
  /** Accept a FUSE file system; false when left out. The operator answers for its `flock` and `fsync`. */
  readonly allowFuse?: boolean
  /** Answers the `statfs` type number of a path; the operating system is asked when left out. */
  readonly fileSystemType?: (path: string) => number
}

const fuse = 0x65735546
/** Numbers of statfs(2), low 32 bits. */
const shared: ReadonlyMap<number, string> = new Map([
  [0x6969, 'nfs'],
  [0x517b, 'smb'],
  [0xfe534d42, 'smb2'],
  [0xff534d42, 'cifs'],
  [0x01021997, '9p'],
  [0x5346414f, 'afs'],
  [0x6b414653, 'afs'],
  [0x73757245, 'coda'],
  [0x00c36400, 'ceph'],
  [0x01161970, 'gfs2'],
  [0x7461636f, 'ocfs2'],
  [0x0bd00bd0, 'lustre'],
  [0x47504653, 'gpfs'],
  [0x19830326, 'beegfs'],
  [0x20030528, 'orangefs'],
  [0xaad7aaea, 'panfs'],
  [0x564c, 'ncp'],
  [0x786f4256, 'vboxsf'],
  [0xbacbacbc, 'vmhgfs'],
  [0x7c7c6673, 'prl_fs'],
])

/**
 * The name of a path's file system when it is shared or FUSE, which are not trusted with locks and syncs;
 * `undefined` for local ones.
 *
 * @remarks Known on Linux only: elsewhere the numbers differ from release to release and nothing is refused.
 */
export function refusedFileSystem(
  path: string,
  options: FileSystemOptions = {},
): string | undefined {
  if (options.fileSystemType === undefined && process.platform !== 'linux') return undefined
  const typeOf = options.fileSystemType ?? ((at: string): number => statfsSync(at).type)
  // The kernel's number is signed on some machines.
  const type = Number(BigInt.asUintN(32, BigInt(typeOf(path))))
  if (type === fuse) return options.allowFuse === true ? undefined : 'fuse'
  return shared.get(type)
}
