// Gives root's rights up for those of another user, once all that needs them is open: --user.
//
// The order is the one that man 2 setgroups and man 7 credentials leave no choice in: supplementary groups, group, user;
// after the user nothing can be changed any more. libc changes all threads of the process, those of meters and of the
// capture addon, too (man 7 nptl). Nothing is taken on trust: that root can't be regained is tried.
import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { NfstreamError } from '../errors.ts';

interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** What Node.js documents and its types lack. */
type ProcessWithGroups = NodeJS.Process & { readonly initgroups?: (user: string, extraGroup: number) => void };

/**
 * Makes this process one of `user`, a name or a user id.
 * @throws NfstreamError USER_CHANGE_FAILED; the process should end then, as some of its rights may be gone.
 */
export function changeUser(user: string): void {
  if (process.setuid === undefined) throw failed(user, 'this system has no user ids');
  if (process.geteuid?.() !== 0) throw failed(user, 'only a process that was started as root can, for example by sudo');
  const { name, uid, gid } = accountOf(user);
  if (uid === 0) throw failed(user, 'that is root itself, whose rights are to be given up');
  try {
    (process as ProcessWithGroups).initgroups?.(name, gid);
    process.setgid?.(gid);
    process.setuid(uid);
  } catch (error) {
    throw failed(user, (error as Error).message, error);
  }
  const kept = keptRights(uid, gid);
  if (kept !== null) throw failed(user, kept);
}

/** Node.js has no getpwnam(3), but takes names for the effective user and describes that one. */
function accountOf(user: string): Account {
  try {
    process.seteuid?.(user);
  } catch {
    setUserById(user);
  }
  try {
    const { username, uid, gid } = userInfo();
    return { name: username, uid, gid };
  } catch (error) {
    throw failed(user, 'no account has this user id', error);
  } finally {
    process.seteuid?.(0);
  }
}

function setUserById(user: string): void {
  if (!/^\d{1,10}$/.test(user)) throw failed(user, 'there is no such user');
  try {
    process.seteuid?.(Number(user));
  } catch (error) {
    throw failed(user, 'that is no user id', error);
  }
}

/** What is left of root; null where all is gone. */
function keptRights(uid: number, gid: number): string | null {
  if (process.getuid?.() !== uid || process.geteuid?.() !== uid) return 'it still has another user id';
  if (process.getgid?.() !== gid || process.getegid?.() !== gid) return 'it still has another group id';
  if (succeeds(() => process.setuid?.(0)) || succeeds(() => process.seteuid?.(0))) return 'it could become root again';
  if (gid !== 0 && succeeds(() => process.setgid?.(0))) return "it could take root's group again";
  if (hasCapabilities()) return 'it still has capabilities';
  return null;
}

function succeeds(change: () => void): boolean {
  try {
    change();
    return true;
  } catch {
    return false;
  }
}

/** Linux: a securebit can keep capabilities where the user changes (man 7 capabilities). */
function hasCapabilities(): boolean {
  try {
    return /^Cap(Prm|Eff):\s*0*[1-9a-f]/im.test(readFileSync('/proc/self/status', 'utf8'));
  } catch {
    return false;
  }
}

function failed(user: string, reason: string, cause?: unknown): NfstreamError {
  return new NfstreamError('USER_CHANGE_FAILED', `Changing to the user ${JSON.stringify(user)} failed: ${reason}`, {
    cause,
  });
}
