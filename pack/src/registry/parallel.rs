//! The same work for several things at once.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use super::PushError;

/// Why work ended early.
#[derive(Debug)]
pub(super) enum Halt {
    /// Something failed.
    Failed(PushError),
    /// Something else failed first.
    Stopped,
}

impl<E: Into<PushError>> From<E> for Halt {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Does `work` for each of `jobs` on up to `threads` threads. Once one has failed, none is begun, and those at work see the flag that they are given; the
/// first failure is returned.
pub(super) fn for_each<T: Sync>(
    jobs: &[T],
    threads: usize,
    work: &(dyn Fn(&T, &AtomicBool) -> Result<(), Halt> + Sync),
) -> Result<(), PushError> {
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let failure = Mutex::new(None);
    thread::scope(|scope| {
        for _ in 0..threads.min(jobs.len()) {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) else {
                        return;
                    };
                    if let Err(Halt::Failed(error)) = work(job, &stop) {
                        stop.store(true, Ordering::Relaxed);
                        failure
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .get_or_insert(error);
                    }
                }
            });
        }
    });
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::LayerError;

    #[test]
    fn everything_is_done_once_and_nothing_more_after_a_failure() {
        let jobs: Vec<usize> = (0..100).collect();
        let done = Mutex::new(Vec::new());
        let result = for_each(&jobs, 8, &|&job, _| {
            done.lock().unwrap().push(job);
            Ok(())
        });
        assert!(result.is_ok());
        let mut done = done.into_inner().unwrap();
        done.sort_unstable();
        assert_eq!(done, jobs);

        let count = AtomicUsize::new(0);
        let result = for_each(&jobs, 1, &|&job, _| {
            count.fetch_add(1, Ordering::Relaxed);
            if job == 3 {
                return Err(LayerError::LayerCount { asked: 3 }.into());
            }
            Ok(())
        });
        assert!(matches!(
            result,
            Err(PushError::Layer(LayerError::LayerCount { asked: 3 }))
        ));
        assert_eq!(count.into_inner(), 4);
    }
}
