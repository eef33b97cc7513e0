//! Notices a `fork()` at once, in the child.
//!
//! A child has its parent's counter and would mint its parent's IDs. Asking for the process ID costs a system call, too
//! much for every ID; so the C library is asked to count forks, and every ID compares that count with the one at its
//! generator's birth. Children made by a raw `clone` system call pass it by; they are found out by their process ID
//! when the clock has moved on.

use std::sync::atomic::{AtomicU32, Ordering};

static FORKS: AtomicU32 = AtomicU32::new(0);

/// How often this process, or one that it comes from, was forked since the first generator was made.
#[inline]
pub(crate) fn count() -> u32 {
    FORKS.load(Ordering::Relaxed)
}

/// Starts to count, and returns the present count.
// Miri, which knows no fork, knows no handler for it either.
#[cfg(all(unix, not(miri)))]
pub(crate) fn watch() -> u32 {
    static WATCHED: std::sync::OnceLock<()> = std::sync::OnceLock::new();

    extern "C" fn in_child() {
        FORKS.fetch_add(1, Ordering::Relaxed);
    }

    #[expect(
        unsafe_code,
        reason = "without it a child repeats its parent's IDs for up to 10 ms (a clock tick); no safe interface to \
                  pthread_atfork exists, and getpid for every ID would cost more than the ID"
    )]
    WATCHED.get_or_init(|| {
        // SAFETY: the handler is a static function that only adds to an atomic, which is allowed in a child of a
        // multi-threaded process.
        let outcome = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        // Only memory can be lacking; the check by process ID remains.
        debug_assert_eq!(outcome, 0, "pthread_atfork");
    });
    count()
}

#[cfg(not(all(unix, not(miri))))]
pub(crate) fn watch() -> u32 {
    count()
}
