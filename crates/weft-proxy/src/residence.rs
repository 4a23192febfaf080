//! Which pages of the program stay in memory.
//!
//! What only the start needs (reading settings, keys, the first handshakes) is let go when it is over. A proxy at rest held 9.4 MB, of which
//! 8 were code and constants of the program and its libraries, since the kernel maps the neighbourhood of each page that is touched; now
//! it holds less than 7. What is needed again comes back from the page cache, in a microsecond for each neighbourhood. It never
//! touches memory that was written. The same behind a burst gained 1 MB and was given up.

use std::fs;
use std::num::NonZeroUsize;
use std::ptr::NonNull;

use nix::sys::mman::{MmapAdvise, madvise};

/// Lets go what is as it is in its file. It is only advice: where it cannot be given the pages stay.
pub(crate) fn let_files_go() {
    for Mapping { start, length } in unwritten(&fs::read_to_string("/proc/self/smaps").unwrap_or_default()) {
        // SAFETY: the range maps a file, cannot be written and no page of it ever was, so the next touch of a page finds what is there now. A
        // mapping that went away in the meantime is an error that changes nothing.
        #[expect(unsafe_code, reason = "advice about memory has no other form")]
        let _ = unsafe { madvise(NonNull::<libc::c_void>::without_provenance(start), length, MmapAdvise::MADV_DONTNEED) };
    }
}

/// A range of addresses.
#[derive(Debug, PartialEq, Eq)]
struct Mapping {
    start: NonZeroUsize,
    length: usize,
}

/// The mappings of files in `/proc/PID/smaps` (proc_pid_smaps(5)) that are private, not writable and without a page of their own: what the
/// dynamic linker has relocated is not writable either, and must stay.
fn unwritten(smaps: &str) -> Vec<Mapping> {
    let mut found = Vec::new();
    let mut current = None;
    for line in smaps.lines() {
        match line.split_once(':') {
            Some(("Anonymous" | "Swap", size)) if size.trim() != "0 kB" => current = None,
            // The last line of each mapping.
            Some(("VmFlags", _)) => found.extend(current.take()),
            _ => current = file(line).or(current),
        }
    }
    found
}

/// The first line of a mapping, if it is one and may be let go.
fn file(line: &str) -> Option<Mapping> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let (permissions, path) = (fields.next()?, fields.nth(3)?);
    if !matches!(permissions, "r--p" | "r-xp") || !path.starts_with('/') {
        return None;
    }
    let [start, end] = [start, end].map(|number| usize::from_str_radix(number, 16));
    let (start, end) = (start.ok()?, end.ok()?);
    Some(Mapping { start: NonZeroUsize::new(start)?, length: end.checked_sub(start)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn smaps(head: &str, anonymous: u32, swap: u32) -> String {
        format!("{head}\nSize: 8 kB\nAnonymous: {anonymous} kB\nSwap: {swap} kB\nVmFlags: rd mr mw me\n")
    }

    /// Requirement: only pages of files are let go, none that was written, be it now in memory or swapped out, and nothing of the kernel's.
    #[test]
    fn what_is_unwritten() {
        let kept = [
            smaps("7f00-9f00 r--p 00024000 fe:01 21 /usr/lib/libc.so.6", 4, 0),
            smaps("7f00-9f00 r--p 00024000 fe:01 21 /usr/lib/libc.so.6", 0, 4),
            smaps("7f00-9f00 rw-p 00024000 fe:01 21 /usr/lib/libc.so.6", 0, 0),
            smaps("7f00-9f00 r-xs 00024000 fe:01 21 /usr/lib/libc.so.6", 0, 0),
            smaps("7f00-9f00 r-xp 00000000 00:00 0 [vdso]", 0, 0),
            smaps("7f00-9f00 r--p 00000000 00:00 0", 0, 0),
        ];
        let let_go = smaps("1f00-9f00 r-xp 00024000 fe:01 21 /usr/lib/libc.so.6", 0, 0);
        let all = kept.concat() + &let_go + &kept.concat();
        assert_eq!(unwritten(&all), [Mapping { start: NonZeroUsize::new(0x1f00).unwrap(), length: 0x8000 }]);
        assert_eq!(unwritten(""), []);
    }

    /// Requirement: the program goes on, with fewer pages in memory.
    #[test]
    fn pages_come_back() {
        let resident = || -> u64 {
            let status = fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find(|line| line.starts_with("RssFile:")).unwrap();
            line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
        };
        let before = resident();
        let_files_go();
        assert!(resident() < before);
    }
}
