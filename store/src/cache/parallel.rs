//! Many questions at once.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

/// Questions that are on their way to a server at once.
const REMOTE: usize = 16;
/// Threads that pay for a directory on this machine, where a question is a system call.
const LOCAL: usize = 4;
/// Fewer questions than this to a directory take less time than a thread.
const WORTH_A_THREAD: usize = 16;

/// Calls `work` for each item, on several threads, and returns the results in the order of the items, or the first error that came.
///
/// No further item is begun after an error.
pub(super) fn in_parallel<I: Sync, T: Send, E: Send>(
    is_local: bool,
    items: &[I],
    work: impl Fn(&I) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    let threads = if is_local { LOCAL } else { REMOTE }.min(items.len());
    if threads <= 1 || (is_local && items.len() < WORTH_A_THREAD) {
        return items.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let is_over = AtomicBool::new(false);
    let results: Mutex<Vec<(usize, Result<T, E>)>> = Mutex::new(Vec::with_capacity(items.len()));
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(at) else { return };
                    let result = work(item);
                    if result.is_err() {
                        is_over.store(true, Ordering::Relaxed);
                    }
                    let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
                    results.push((at, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_have_the_order_of_the_items() {
        let items: Vec<u32> = (0..100).collect();
        for is_local in [true, false] {
            let doubled: Result<Vec<u32>, ()> = in_parallel(is_local, &items, |item| Ok(item * 2));
            assert_eq!(doubled, Ok(items.iter().map(|item| item * 2).collect()));
        }
    }

    #[test]
    fn an_error_ends_it() {
        let items: Vec<usize> = (0..10_000).collect();
        let begun = AtomicUsize::new(0);
        let result: Result<Vec<()>, usize> = in_parallel(false, &items, |item| {
            begun.fetch_add(1, Ordering::Relaxed);
            Err(*item)
        });
        assert!(result.is_err());
        assert!(begun.into_inner() <= REMOTE);
    }
}
